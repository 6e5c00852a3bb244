// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import FoundationEssentials
import Glibc
import MeshLab
import MeshModel

/// Changes policies of beta and labels in alpha, and sees them in force in the kernel of beta's node.
struct PolicyWatch: ~Copyable {
    private static let pauseMicroseconds: UInt32 = 50
    private static let calm = Duration.seconds(3)

    let folder: String
    private let sets: MappedArray<UInt64>
    private let rows: HashMap<weft_address, weft_endpoint>
    private let client: weft_address
    private let clientFile: String
    private let clientText: String

    init(lab: Lab) throws {
        let alpha = try lab.plan.cluster(named: "alpha")
        let node = try lab.plan.cluster(named: "beta").nodes[0]
        guard let address = alpha.endpoints.first?.addresses.first.flatMap({ Address($0) }) else {
            throw LabError(.failed, "the lab has no client")
        }
        let maps =
            "\(try BPFFileSystem.mountPoint())/weft-lab/\(lab.plan.name)/beta/\(node.name)/maps"
        let file = "\(lab.plan.manifestFolder(of: alpha.nodes[0]))/pods.yaml"
        self.init(
            folder: lab.plan.manifestFolder(of: node),
            sets: try MappedArray(BPFMap(pinnedAt: "\(maps)/weft_policy_sets")),
            rows: try HashMap(BPFMap(pinnedAt: "\(maps)/weft_endpoints")),
            client: weft_address(address), clientFile: file,
            clientText: String(decoding: try Data(contentsOf: URL(filePath: file)), as: UTF8.self))
    }

    private init(
        folder: String, sets: consuming MappedArray<UInt64>,
        rows: consuming HashMap<weft_address, weft_endpoint>, client: weft_address,
        clientFile: String, clientText: String
    ) {
        self.folder = folder
        self.sets = sets
        self.rows = rows
        self.client = client
        self.clientFile = clientFile
        self.clientText = clientText
    }

    /// Of all sets in use.
    var words: [Int: UInt64] {
        var words: [Int: UInt64] = [:]
        for index in 1..<1024 {
            let word = sets.word(at: index)
            if word != 0 { words[index] = word }
        }
        return words
    }

    /// Until every set has another version.
    func awaitChange(from before: [Int: UInt64], _ limit: Duration) throws -> UInt64 {
        try poll(limit) {
            before.allSatisfy { sets.word(at: $0.key) != $0.value }
        }
    }

    func identity() throws -> UInt32 { try rows.lookup(client)?.identity ?? 0 }

    /// The row follows the lists: once it is there, the policies' word on it is in force.
    func awaitIdentity(from before: UInt32, _ limit: Duration) throws -> UInt64 {
        try poll(limit) {
            let identity = try identity()
            return identity != before && identity & 0xfffff >= 256
        }
    }

    /// The client's file with a label more.
    func relabel(_ value: String) throws -> StagedFile {
        let text = clientText.replacing(
            "\"app\": \"client\"", with: "\"app\": \"client\", \"n\": \"\(value)\"")
        guard text != clientText else { throw LabError(.failed, "the client has no label") }
        return try StagedFile(text, for: clientFile)
    }

    /// Until nothing has changed for a while.
    func settle() async throws {
        var former: [Int: UInt64] = [:]
        while former != words {
            former = words
            try await Task.sleep(for: Self.calm)
        }
    }

    private func poll(_ limit: Duration, _ condition: () throws -> Bool) throws -> UInt64 {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if try condition() { return monotonicNow() }
            usleep(Self.pauseMicroseconds)
        }
        throw LabError(.timedOut, "a change isn't in force")
    }
}
