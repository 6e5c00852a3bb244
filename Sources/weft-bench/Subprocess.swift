// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab

/// A program that this one started.
struct Subprocess: ~Copyable {
    let identifier: pid_t
    private let output: Int32

    /// - Throws: ``LabError`` if it can't be started, `CancellationError` if nothing is to be any more.
    init(_ command: [String]) throws {
        try Task.checkCancellation()
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw LabError(.failed, "can't make a pipe") }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        var arguments = command.map { strdup($0) } + [nil]
        defer {
            posix_spawn_file_actions_destroy(&actions)
            for text in arguments { free(text) }
        }
        var identifier = pid_t()
        let failure = posix_spawnp(&identifier, command[0], &actions, nil, &arguments, environ)
        close(ends[1])
        guard failure == 0 else {
            close(ends[0])
            throw LabError(
                .failed, "start \(command[0]): \(String(cString: strerror(failure)))")
        }
        self.init(identifier: identifier, output: ends[0])
    }

    private init(identifier: pid_t, output: Int32) {
        self.identifier = identifier
        self.output = output
    }

    deinit { close(output) }

    /// What it writes until it ends.
    ///
    /// - Throws: ``LabError`` unless it ends with one of `codes`.
    consuming func finish(with codes: Set<Int32> = [0]) throws -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(output, &chunk, chunk.count)
            if count > 0 { bytes += chunk[..<count] }
            if count == 0 || (count < 0 && errno != EINTR) { break }
        }
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        guard status & 0x7f == 0, codes.contains(status >> 8) else {
            throw LabError(.failed, "process \(identifier) failed with status \(status)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    consuming func end() {
        kill(identifier, SIGKILL)
        while waitpid(identifier, nil, 0) < 0, errno == EINTR {}
    }
}
