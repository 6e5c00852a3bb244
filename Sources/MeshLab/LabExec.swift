// SPDX-License-Identifier: Apache-2.0

import Glibc
import Netlink

/// Executes a program inside a lab: `weft lab-exec --netns PATH --cgroup PATH [--argv0 NAME] -- CMD…`.
public enum LabExec {
    /// What starts `command` that way.
    ///
    /// - Parameter executable: the program that holds `weft`.
    static func command(
        _ executable: String, namespacePath: String, cgroup: String, name: String,
        _ command: [String]
    ) -> [String] {
        [
            executable, "lab-exec", "--netns", namespacePath, "--cgroup", cgroup, "--argv0", name,
            "--",
        ] + command
    }

    /// Turns the calling process into `command`. The cgroup comes first: a socket made before its
    /// process joined is never translated.
    ///
    /// - Parameters:
    ///   - namespacePath: `/run/netns/NAME`; nil stays where the caller is.
    ///   - cgroup: folder of the cgroup2 hierarchy; nil stays in the caller's.
    ///   - name: what the program is told it is called; nil is `command[0]`.
    ///   - command: the program, looked up in `PATH` unless it has a slash, and its arguments.
    /// - Throws: ``LabError`` or ``NetlinkError``; on success it doesn't return.
    public static func run(
        namespacePath: String?, cgroup: String?, name: String? = nil, command: [String]
    ) throws -> Never {
        guard let program = command.first else {
            throw LabError(.failed, "there is no command to execute")
        }
        if let cgroup { try join(cgroup) }
        if let namespacePath { try NetworkNamespace(path: namespacePath).enter() }
        // A thread of a pool blocks signals, and the program would inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        var arguments: [UnsafeMutablePointer<CChar>?] =
            ([name ?? program] + command.dropFirst()).map { strdup($0) }
        arguments.append(nil)
        execvp(program, arguments)
        let failure = LabError.system("execute \(program)")
        for argument in arguments { free(argument) }
        throw failure
    }

    /// Moves the whole process; its children are born there.
    private static func join(_ cgroup: String) throws(LabError) {
        let file = open("\(cgroup)/cgroup.procs", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw .system("join cgroup \(cgroup)") }
        defer { close(file) }
        guard write(file, "0", 1) == 1 else { throw .system("join cgroup \(cgroup)") }
    }
}
