// Inspects what a master sends to the PLC: MBAP header, function and register range of every request.
// The peer puts READABLE and WRITABLE (lists of [first, last]) in front of this file.
// Answers pass unread, and there is no limit on a request's time: less work than Bulkhead does, not more.

function inside(ranges, first, quantity) {
    const last = first + quantity - 1;
    for (let i = 0; i < ranges.length; i++) {
        if (first >= ranges[i][0] && last <= ranges[i][1]) {
            return true;
        }
    }
    return false;
}

function allowed(data, at, length) {
    const code = data[at + 7];
    if (length !== 6) {
        return false;
    }
    const address = data.readUInt16BE(at + 8), second = data.readUInt16BE(at + 10);
    if (code === 3) {
        return second >= 1 && second <= 125 && inside(READABLE, address, second);
    }
    return code === 6 && inside(WRITABLE, address, 1);
}

function refusal(data, at) {
    const answer = Buffer.alloc(9);
    data.copy(answer, 0, at, at + 8);
    answer.writeUInt16BE(3, 4);
    answer[7] |= 0x80;
    answer[8] = 1;
    return answer;
}

function requests(s) {
    let rest = null;    // an incomplete request

    s.on('upstream', function (chunk, flags) {
        const data = rest ? Buffer.concat([rest, chunk]) : chunk;
        let at = 0, first = 0;    // data[first..at) is allowed and not yet sent
        rest = null;
        while (data.length - at >= 8) {
            const length = data.readUInt16BE(at + 4);
            if (data.readUInt16BE(at + 2) !== 0 || length < 2 || length > 254) {
                s.off('upstream');
                s.deny();
                return;
            }
            if (data.length - at < 6 + length) {
                break;
            }
            if (!allowed(data, at, length)) {
                if (at > first) {
                    s.sendUpstream(data.slice(first, at), flags);
                }
                s.sendDownstream(refusal(data, at));
                first = at + 6 + length;
            }
            at += 6 + length;
        }
        if (at < data.length) {
            rest = data.slice(at);
        }
        if (at > first || flags.last) {
            s.send(first === 0 && at === data.length ? data : data.slice(first, at), flags);
        }
    });
}

export default { requests };
