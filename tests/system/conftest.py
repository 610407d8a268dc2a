"""The plant of Modbus, shared by suites that attack it and suites that use it."""

from tests.support.fixtures import gateway as gateway
from tests.support.fixtures import plant as plant
from tests.support.fixtures import plc as plc
from tests.support.fixtures import recorder as recorder
