// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Unbuffered output: what `flows -f` prints arrives line by line in a pipe too.
enum Console {
    static func out(_ text: String) { write(text, to: STDOUT_FILENO) }
    static func error(_ text: String) { write(text, to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                // Whoever read us has gone (`weft flows -f | head`): there is nothing left to do.
                exit(errno == EPIPE ? 0 : 1)
            }
            rest = rest.dropFirst(written)
        }
    }
}
