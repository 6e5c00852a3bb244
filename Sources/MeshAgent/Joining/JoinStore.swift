// SPDX-License-Identifier: Apache-2.0

import MeshTrust

/// Where a cluster's home keeps its roster and its tokens. What was saved is there after any crash.
protocol JoinStore: Sendable {
    func loadRoster() throws(TrustError) -> MeshRoster?
    func loadBook() throws(TrustError) -> TokenBook?
    func save(_ roster: MeshRoster) throws(TrustError)
    func save(_ book: TokenBook) throws(TrustError)
}

/// Files in the authority's folder.
struct JoinFiles: JoinStore {
    static let rosterFile = "roster.json"
    static let bookFile = "tokens.json"

    let folder: String

    func loadRoster() throws(TrustError) -> MeshRoster? {
        try TrustStateFile.load(named: Self.rosterFile, in: folder)
    }

    func loadBook() throws(TrustError) -> TokenBook? {
        try TrustStateFile.load(named: Self.bookFile, in: folder)
    }

    func save(_ roster: MeshRoster) throws(TrustError) {
        try TrustStateFile.save(roster, named: Self.rosterFile, in: folder)
    }

    func save(_ book: TokenBook) throws(TrustError) {
        try TrustStateFile.save(book, named: Self.bookFile, in: folder)
    }
}
