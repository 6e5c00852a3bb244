// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import KernelTestSupport
import MeshDatapath
import MeshModel

/// A pin folder and a cgroup of a test's own, gone when the test is over. The overlay device is the
/// loopback device of the thread's own network namespace.
final class Sandbox: Sendable {
    let pins: String
    let cgroup: String

    init(_ name: String = #function) throws {
        let word = name.prefix { $0 != "(" }
        pins = "\(try BPFFileSystem.mountPoint())/datapath-test-\(getpid())-\(word)"
        cgroup = "\(try BPFFileSystem.cgroupRoot())/datapath-test-\(getpid())-\(word)"
        guard mkdir(cgroup, 0o755) == 0 else { throw SystemFailure(errno) }
    }

    deinit {
        try? KernelDatapath.tearDown(pinDirectory: pins)
        rmdir(cgroup)
    }

    func configuration(
        _ change: (inout DatapathConfiguration) -> Void = { _ in }
    ) -> DatapathConfiguration {
        var configuration = DatapathConfiguration(
            node: node("n0"), underlayAddress: Address("192.0.2.1")!, underlayMTU: 1500,
            overlayInterface: 1, pinDirectory: pins, cgroupPath: cgroup)
        change(&configuration)
        return configuration
    }

    /// Names under the pin folder, `maps/…` and `links/…`.
    func pinned() throws -> [String] {
        try ["maps", "links"].flatMap { folder in
            try BPFFileSystem.names(in: "\(pins)/\(folder)").map { "\(folder)/\($0)" }
        }
    }
}
