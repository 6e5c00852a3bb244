// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

struct ProcessFailure: Error, CustomStringConvertible {
    let description: String
}

/// A program that a test runs, ended by its process ID.
struct ChildProcess {
    let id: pid_t

    /// - Parameter output: a file that gets what the program writes.
    init(_ arguments: [String], environment: [String] = [], output: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(
            &actions, 1, output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var words = arguments.map { strdup($0) } + [nil]
        var variables = (environment + ["PATH=/usr/bin:/bin", "HOME=/"]).map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        var id: pid_t = 0
        let result = posix_spawnp(&id, arguments[0], &actions, nil, &words, &variables)
        guard result == 0 else {
            throw ProcessFailure(
                description: "can't run \(arguments[0]): \(String(cString: strerror(result)))")
        }
        self.id = id
    }

    /// - Returns: the exit code; nil if a signal ended it.
    @discardableResult
    func wait() -> Int32? {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? status >> 8 & 0xff : nil
    }

    func signal(_ number: Int32) { kill(id, number) }

    /// Runs a program to its end.
    static func run(_ arguments: [String], environment: [String] = [], in folder: String) throws {
        let output = folder + "/output"
        let child = try ChildProcess(arguments, environment: environment, output: output)
        guard child.wait() == 0 else {
            let text = FileManager.default.contents(atPath: output) ?? Data()
            throw ProcessFailure(
                description: "\(arguments) failed: \(String(decoding: text, as: UTF8.self))")
        }
    }
}

/// A folder that goes with its owner.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/weft-etcd-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw ProcessFailure(description: "can't make a temporary folder")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            print("can't remove \(path): \(error)")
        }
    }
}

/// A real etcd with one member, on loopback ports of its own. Ends with its last reference.
final class EtcdServer {
    let folder: TemporaryFolder
    var port: UInt16
    private let peerPort: UInt16
    private let certificates: TestCertificates?
    private var process: ChildProcess?

    init(certificates: TestCertificates? = nil) throws {
        folder = try TemporaryFolder()
        port = try freePort()
        peerPort = try freePort()
        self.certificates = certificates
        try start()
    }

    deinit { stop(SIGKILL) }

    func start() throws {
        let client = "\(certificates == nil ? "http" : "https")://127.0.0.1:\(port)"
        let peer = "http://127.0.0.1:\(peerPort)"
        var arguments = [
            "etcd", "--name", "test", "--data-dir", folder.path + "/data",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", "test=\(peer)", "--logger", "zap", "--log-level", "warn",
        ]
        if let certificates {
            arguments += [
                "--client-cert-auth", "--trusted-ca-file", certificates.authority,
                "--cert-file", certificates.certificate("server"),
                "--key-file", certificates.key("server"),
            ]
        }
        process = try ChildProcess(arguments, output: folder.path + "/log")
    }

    func stop(_ signal: Int32 = SIGTERM) {
        process?.signal(signal)
        process?.signal(SIGCONT)
        process?.wait()
        process = nil
    }

    func freeze() { process?.signal(SIGSTOP) }
    func thaw() { process?.signal(SIGCONT) }

    /// Starts again with nothing.
    func wipe() throws {
        stop()
        try FileManager.default.removeItem(atPath: folder.path + "/data")
        try start()
    }

    func control(_ arguments: String...) throws {
        try ChildProcess.run(
            ["etcdctl", "--endpoints", "127.0.0.1:\(port)"] + arguments,
            environment: ["ETCDCTL_API=3"], in: folder.path)
    }
}

/// A port that nobody listens on at this moment.
func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
    }
    guard descriptor >= 0, isBound else { throw ProcessFailure(description: "no free port") }
    return UInt16(bigEndian: address.sin_port)
}

/// An authority and what it signed, made by the openssl command.
struct TestCertificates {
    let folder: TemporaryFolder

    var authority: String { folder.path + "/authority.pem" }
    func certificate(_ name: String) -> String { folder.path + "/\(name).pem" }
    func key(_ name: String) -> String { folder.path + "/\(name).key" }

    init(names: [String]) throws {
        folder = try TemporaryFolder()
        let make = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        try run(
            make + [
                "-x509", "-nodes", "-days", "2", "-subj", "/CN=authority",
                "-keyout", key("authority"), "-out", authority,
            ])
        for name in names {
            try run(
                make + [
                    "-nodes", "-subj", "/CN=\(name)", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key(name), "-out", folder.path + "/\(name).csr",
                ])
            try run([
                "openssl", "x509", "-req", "-days", "2", "-copy_extensions", "copy",
                "-in", folder.path + "/\(name).csr", "-CA", authority,
                "-CAkey", key("authority"), "-CAcreateserial", "-out", certificate(name),
            ])
        }
    }

    private func run(_ arguments: [String]) throws {
        try ChildProcess.run(arguments, in: folder.path)
    }
}
