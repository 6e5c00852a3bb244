// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab
import MeshModel

/// Writes a service's endpoints in beta, and sees them arrive in the kernel of a node of alpha.
struct Watch: ~Copyable {
    /// Between two looks: far below what is measured, and no CPU taken from it.
    private static let pauseMicroseconds: UInt32 = 50

    private let kernel: KernelView
    private let slot: UInt32
    private let folder: String
    private let node: String
    private let service: String
    private let firstAddress: Address

    init(lab: Lab, service: String, port: UInt16) throws {
        let alpha = try lab.plan.cluster(named: "alpha")
        let writer = try lab.plan.cluster(named: "beta").nodes[0]
        guard let reader = alpha.nodes.last,
            let address = lab.plan.services.first(where: { $0.name == service })?
                .addresses[alpha.name]?.first
        else { throw LabError(.failed, "the lab lacks a node or the service") }
        let kernel = try KernelView(of: reader, in: alpha.name, lab: lab.plan.name)
        guard let slot = try kernel.slot(of: address, port: port) else {
            throw LabError(.failed, "\(reader.name) has no service at \(address)")
        }
        self.init(
            kernel: kernel, slot: slot, folder: lab.plan.manifestFolder(of: writer),
            node: writer.name, service: service,
            firstAddress: try ManifestText.first(writer.podPrefixes).advanced(by: 20))
    }

    private init(
        kernel: consuming KernelView, slot: UInt32, folder: String, node: String, service: String,
        firstAddress: Address
    ) {
        self.kernel = kernel
        self.slot = slot
        self.folder = folder
        self.node = node
        self.service = service
        self.firstAddress = firstAddress
    }

    /// Addresses of endpoints, of 0...200.
    func address(_ number: Int) -> Address { firstAddress.advanced(by: UInt64(number)) }

    /// A file that gives the service these endpoints, beside those of other files.
    func stage(_ addresses: [Address], file: String) throws -> StagedFile {
        try StagedFile(
            ManifestText.slice(file, of: service, addresses, node: node),
            for: "\(folder)/\(file).yaml")
    }

    func remove(_ file: String) throws {
        guard unlink("\(folder)/\(file).yaml") == 0 else { throw failure("remove \(file)") }
    }

    /// Waits until the programs find exactly these backends.
    ///
    /// - Returns: the moment they do, nanoseconds.
    func await(_ expected: Set<Address>, _ limit: Duration) throws -> UInt64 {
        let deadline = ContinuousClock.now + limit
        var seen: UInt64?
        while ContinuousClock.now < deadline {
            let word = kernel.word(ofSlot: slot)
            if word != seen {
                seen = word
                let moment = monotonicNow()
                if Set(kernel.backends(ofSlot: slot)) == expected { return moment }
            }
            usleep(Self.pauseMicroseconds)
        }
        let count = kernel.backends(ofSlot: slot).count
        throw LabError(
            .timedOut, "\(expected.count) endpoints are expected, \(count) are there")
    }
}
