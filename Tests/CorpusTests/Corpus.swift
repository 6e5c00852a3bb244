// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// One file of a corpus, or one seed.
struct CorpusSample: Sendable, CustomStringConvertible {
    let target: FuzzTarget
    let name: String
    let bytes: [UInt8]

    var description: String { "\(target.name)/\(name)" }
}

extension FuzzTarget {
    private static let corpora = URL(filePath: #filePath)
        .deletingLastPathComponent().appending(path: "../../Fuzz/Corpus").standardized

    /// The seeds, and every file of the target's corpus.
    ///
    /// - Throws: also if there is no such folder, or nothing in it.
    func samples() throws -> [CorpusSample] {
        let folder = Self.corpora.appending(path: name).path
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        guard !files.isEmpty else { throw BrokenProperty("\(folder) is empty") }
        let seeds = try seeds().enumerated().map { index, bytes in
            CorpusSample(target: self, name: "seed \(index)", bytes: bytes)
        }
        return try seeds
            + files.map { file in
                guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(file)")
                else { throw BrokenProperty("\(folder)/\(file) can't be read") }
                return CorpusSample(target: self, name: file, bytes: Array(bytes))
            }
    }
}
