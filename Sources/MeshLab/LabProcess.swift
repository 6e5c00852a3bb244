// SPDX-License-Identifier: Apache-2.0

public import Glibc
import Synchronization

/// A process that this one started inside a lab.
public struct LabProcess: Sendable {
    public let identifier: pid_t

    /// How a process ended.
    public enum Ending: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    /// Started here and not yet seen to end.
    private static let children = Mutex<Set<pid_t>>([])

    /// Starts `command` with `/dev/null` as input, in a session of its own.
    ///
    /// - Parameters:
    ///   - output: file that gets what it writes, appended.
    ///   - environment: added to this process's.
    init(
        _ command: [String], output: String, environment: [String: String]
    ) throws(LabError) {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        let flags = O_WRONLY | O_CREAT | O_APPEND
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Threads of a pool block signals, and a child would inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Self.newSession | Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = command.map { strdup($0) } + [nil]
        var variables = Self.merged(environment).map { strdup($0) } + [nil]
        defer {
            for text in arguments + variables { free(text) }
        }
        var identifier = pid_t()
        let failure = posix_spawn(
            &identifier, command[0], &actions, &attributes, &arguments, &variables)
        guard failure == 0 else {
            throw LabError(
                .failed, "start \(command[0]): \(String(cString: strerror(failure)))")
        }
        let started = identifier
        Self.children.withLock { _ = $0.insert(started) }
        self.identifier = identifier
    }

    public func signal(_ number: Int32) throws(LabError) {
        guard Glibc.kill(identifier, number) == 0 || errno == ESRCH else {
            throw .system("signal process \(identifier)")
        }
    }

    /// How it ended; nil while it runs, or if somebody else asked before.
    public func ending() -> Ending? {
        var status: Int32 = 0
        guard waitpid(identifier, &status, WNOHANG) == identifier else { return nil }
        let identifier = identifier
        Self.children.withLock { _ = $0.remove(identifier) }
        let signal = status & 0x7f
        return signal == 0 ? .exited(status >> 8 & 0xff) : .signalled(signal)
    }

    /// Waits until it ended.
    public func wait(atMost limit: Duration) async throws -> Ending {
        try await awaiting("process \(identifier) to end", atMost: limit) { ending() }
    }

    /// Waits until it ended; if that takes too long or the task is cancelled, it is killed: a process
    /// on its way into a cgroup would outlive whoever empties that.
    func waitOrKill(atMost limit: Duration) async throws -> Ending {
        do {
            return try await wait(atMost: limit)
        } catch {
            kill()
            throw error
        }
    }

    /// Kills it, and waits for its end.
    func kill() {
        var status: Int32 = 0
        Glibc.kill(identifier, SIGKILL)
        let identifier = identifier
        while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        Self.children.withLock { _ = $0.remove(identifier) }
    }

    /// Buries those that have ended, so that a long-lived caller keeps no zombies.
    static func reap() {
        children.withLock { children in
            children = children.filter { waitpid($0, nil, WNOHANG) == 0 }
        }
    }

    /// `POSIX_SPAWN_SETSID`: a terminal's interrupt is for whoever typed it.
    private static let newSession: Int16 = 0x80

    private static func merged(_ additions: [String: String]) -> [String] {
        var result: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if additions[String(text.prefix { $0 != "=" })] == nil { result.append(text) }
            next += 1
        }
        return result + additions.map { "\($0.key)=\($0.value)" }
    }
}
