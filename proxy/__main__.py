"""``python -m proxy`` is the command `bulkhead`."""

from proxy.cli.main import main

main()
