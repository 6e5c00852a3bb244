// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import MeshAdmin

/// An archive in the making: a piece after the other, each bounded and scrubbed; what can't be had is
/// noted and left out.
struct BugReport: ~Copyable {
    /// Of one piece, before compression; of a longer one the end is left out, of a log the beginning.
    static let pieceBytesMaximum = 8 << 20
    /// Of all pieces.
    static let bytesMaximum = 64 << 20

    struct Piece: Encodable {
        let name: String
        let bytes: Int
        let seconds: Double
        /// Whether it is a part only.
        let isCut: Bool
        /// Why there is nothing; nil: there is.
        let problem: String?
    }

    /// What a report says of itself.
    struct Manifest: Encodable {
        let weft: String
        let madeUnixSeconds: Int64
        let user: UInt32
        let socket: String
        let pieces: [Piece]
    }

    /// Which part of a piece that is too long is kept.
    enum Keeping {
        case beginning, end
    }

    private var file: GzipFile
    private let folder: String
    private let bytesMaximum: Int
    private let now = Int64(Date().timeIntervalSince1970)
    private(set) var pieces: [Piece] = []

    /// - Parameters:
    ///   - path: of the archive, which isn't there yet.
    ///   - folder: in the archive, before every name.
    init(
        creating path: String, folder: String, bytesMaximum: Int = Self.bytesMaximum
    ) throws(FileProblem) {
        let file = try GzipFile(creating: path)
        self.init(file, folder, bytesMaximum)
    }

    private init(_ file: consuming GzipFile, _ folder: String, _ bytesMaximum: Int) {
        self.file = file
        self.folder = folder
        self.bytesMaximum = bytesMaximum
    }

    private var room: Int { max(bytesMaximum - pieces.reduce(0) { $0 + $1.bytes }, 0) }

    /// - Throws: ``FileProblem`` only: what `collect` throws is noted.
    mutating func add(
        _ name: String, keeping: Keeping = .beginning,
        _ collect: () async throws -> [UInt8]
    ) async throws {
        let start = ContinuousClock.now
        var content: [UInt8] = []
        var problem: String?
        if room == 0 {
            problem = "left out: the report has its \(bytesMaximum) bytes"
        } else {
            do {
                content = try await collect()
            } catch {
                problem = Complaint(error).sentence
            }
        }
        let limit = min(Self.pieceBytesMaximum, room)
        let isCut = content.count > limit
        if isCut {
            content = Array(keeping == .beginning ? content.prefix(limit) : content.suffix(limit))
        }
        if problem == nil {
            content = Redaction.scrub(content)
            try file.write(Tar.file("\(folder)/\(name)", content, unixSeconds: now))
        }
        let piece = Piece(
            name: name, bytes: content.count,
            seconds: (ContinuousClock.now - start) / .seconds(1), isCut: isCut, problem: problem)
        pieces.append(piece)
        Console.error(Self.line(piece))
    }

    private static func line(_ piece: Piece) -> String {
        if let problem = piece.problem { return "  \(piece.name): \(problem)\n" }
        return
            "  \(piece.name), \(Format.bytes(UInt64(piece.bytes)))\(piece.isCut ? ", cut" : "")\n"
    }

    /// Adds what the report says of itself, and ends it.
    mutating func finish(socket: String) throws -> [Piece] {
        let manifest = Manifest(
            weft: weftVersion, madeUnixSeconds: now, user: geteuid(), socket: socket, pieces: pieces
        )
        try file.write(
            Tar.file(
                "\(folder)/manifest.json", try adminJSON(manifest, pretty: true), unixSeconds: now)
                + Tar.end)
        try file.finish()
        return pieces
    }
}
