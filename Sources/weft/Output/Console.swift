// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Unbuffered output: what `flows -f` prints arrives line by line in a pipe too.
enum Console {
    /// Whether what is printed is looked at as it is printed.
    static let isTerminal = isatty(STDOUT_FILENO) == 1
    /// Only on a terminal, and never against the reader's wish (no-color.org).
    static let isColoured = isColoured(
        isTerminal: isTerminal, noColour: variable("NO_COLOR"), terminal: variable("TERM"))

    static func isColoured(isTerminal: Bool, noColour: String?, terminal: String?) -> Bool {
        isTerminal && (noColour ?? "").isEmpty && terminal != "dumb"
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Rows and columns; nil where there is no terminal.
    static var size: (rows: Int, columns: Int)? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0
        else { return nil }
        return (Int(size.ws_row), Int(size.ws_col))
    }

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
