// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc
internal import Synchronization

/// What libbpf says while a call on this thread runs. libbpf prints through one function for the
/// whole process; lines of threads that don't listen are discarded.
enum LibraryLog {
    /// Lines of the verifier's log that an error keeps: the instruction at fault stands at the end.
    static let keptLines = 32

    private static let lines = Mutex<[pthread_t: [String]]>([:])

    private static let installed: Bool = {
        _ = libbpf_set_print { level, format, arguments in
            guard level == LIBBPF_WARN, let format, let arguments,
                let text = shim_format(format, arguments)
            else { return 0 }
            defer { free(text) }
            LibraryLog.append(String(cString: text))
            return 0
        }
        return true
    }()

    private static func append(_ text: String) {
        let thread = pthread_self()
        lines.withLock { lines in
            guard lines[thread] != nil else { return }
            lines[thread]?.append(text)
        }
    }

    /// Runs `body` and returns its result with what libbpf warned about meanwhile.
    static func capture<Result>(_ body: () -> Result) -> (result: Result, text: String) {
        precondition(installed)
        let thread = pthread_self()
        lines.withLock { $0[thread] = [] }
        let result = body()
        let captured = lines.withLock { $0.removeValue(forKey: thread) } ?? []
        return (result, end(of: captured.joined()))
    }

    /// The last ``keptLines`` lines, with a first line that says how many are missing.
    static func end(of text: String) -> String {
        let lines = text.split(separator: "\n")
        guard lines.count > keptLines else { return lines.joined(separator: "\n") }
        let omitted = "(\(lines.count - keptLines) lines omitted)"
        return ([omitted[...]] + lines.suffix(keptLines)).joined(separator: "\n")
    }
}
