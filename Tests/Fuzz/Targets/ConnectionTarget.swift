import Seeded

extension FuzzTarget {
    /// Bytes on a connection: whatever they are, the server answers HTTP, and says of itself only what it does not do.
    static let connection = FuzzTarget("connection") { dice, corpus in
        ByteMutation.apply(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: connectionWords)
    } check: { input in
        let connection = try FuzzConnection(port: try FuzzServer.shared.get().port)
        // Whoever is still waiting for more of a request gets some; everybody else is answered and the connection ends.
        let last = Array("GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8)
        let (received, _) = connection.exchange(input + last, patience: 60)
        for answer in try FuzzConnection.answers(received) {
            // Transfer codings, versions and a start that is not over are named as such.
            let isFine = 200..<500 ~= answer.status || [501, 505].contains(answer.status)
            guard isFine else { throw Finding("answers \(answer.status): \(String(decoding: answer.body.prefix(300), as: UTF8.self))") }
        }
    }

    private static let connectionWords = [
        "\r\n", "\r\n\r\n", "\n", "\r", "GET ", "POST ", "OPTIONS ", "CONNECT x:1 ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", " HTTP/1.0", " HTTP/1.1",
        " HTTP/9.9", "/v1/chat/completions", "/v1/models", "/metrics", "//", "/%00", "?a=b", "*", "http://x/", "Host: x\r\n", "Host: \r\n",
        "Content-Length: 5\r\n", "Content-Length: -1\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length: 5, 6\r\n",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", "5\r\nabcde\r\n", "ffffffffffffffff\r\n",
        "Connection: close\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n", "Expect: 100-continue\r\n", "Authorization: Bearer x\r\n",
        "Origin: http://evil\r\n", "Content-Type: text/plain\r\n", "Content-Encoding: gzip\r\n", "X: \u{0}\r\n", ": x\r\n", " x: y\r\n", "\u{0}", "é",
    ]
}
