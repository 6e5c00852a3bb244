// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshKubernetes
import MeshTrust
import Synchronization

/// Why what an authority has decided isn't kept.
enum VaultFault: Error, CustomStringConvertible {
    /// Somebody else wrote the Secret: another process is the authority by now.
    case taken
    case unanswered(KubernetesError)

    var description: String {
        switch self {
        case .taken: "another process has written the authority's Secret"
        case .unanswered(let error): "the authority's Secret can't be written: \(error)"
        }
    }
}

/// Keeps the files of an authority in a Secret, for the replica that takes over.
///
/// The files in the folder are what the authority's parts read and write. ``settle()`` returns when the
/// Secret has them: before that, nothing that follows from them may be told to anybody. A replica that
/// dies before has changed nothing.
actor AuthorityVault {
    /// Sends one request, once.
    typealias Ask = @Sendable (ObjectRequest) async throws(KubernetesError) -> [UInt8]

    static let secretName = "weft-authority"
    /// Whose files these are; the others of a folder, an audit log above all, stay where they are.
    private let folders: [Folder]
    private let namespace: String
    private let ask: Ask
    private var kept = SecretFiles(files: [:])
    /// Of the files that were found to be what the Secret has.
    private var settled: [String: FileStamp]?
    private var saving: Task<Void, any Error>?

    private struct Folder: Sendable {
        let path: String
        /// In the Secret: empty, or a name.
        let name: String
        /// Nil: all.
        let files: Set<String>?
    }

    /// - Parameter namespace: where the authority runs.
    init(_ configuration: AgentConfiguration, namespace: String, ask: @escaping Ask) {
        let authority = AuthorityService.folder(of: configuration)
        folders = [
            Folder(
                path: configuration.paths.trust, name: "trust",
                files: [TrustMaterial.bundleFile]),
            Folder(path: authority, name: "", files: nil),
            Folder(path: authority + "/next", name: "next", files: nil),
            Folder(path: authority + "/former", name: "former", files: nil),
            Folder(path: configuration.paths.state + "/trust", name: "state", files: nil),
        ]
        self.namespace = namespace
        self.ask = ask
    }

    /// Makes the files what the Secret says; without one there are none.
    ///
    /// - Throws: ``KubernetesError``, or what the disk says.
    func load() async throws {
        do throws(KubernetesError) {
            kept = try SecretFiles(
                object: await ask(
                    ObjectRequest(
                        .get,
                        ObjectPath(.secrets, namespace: namespace, name: Self.secretName))))
        } catch {
            guard error.code == .notFound else { throw error }
            kept = SecretFiles(files: [:])
        }
        for folder in folders {
            let files = kept.files(in: folder.name)
            for name in try present(in: folder) where files[name] == nil {
                try FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
            }
            guard !files.isEmpty else { continue }
            try FileManager.default.createDirectory(
                atPath: folder.path, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            for (name, contents) in files {
                try DurableFile(path: "\(folder.path)/\(name)")
                    .write(String(decoding: contents, as: UTF8.self))
            }
        }
    }

    /// Whether the Secret holds anything.
    var isEmpty: Bool { kept.files.isEmpty }

    /// Returns when the Secret has the files as they are now.
    ///
    /// - Throws: ``VaultFault``: it may not have them; tell nobody what follows from them.
    func settle() async throws {
        // Whoever waits for a write that is under way may have files that it doesn't have.
        while let saving { _ = await saving.result }
        guard try stamps() != settled else { return }
        let (files, stamps) = try read()
        if files != kept.files {
            // Over for those who wait when it ends, not when this call goes on.
            let task = Task {
                defer { saving = nil }
                try await save(files)
            }
            saving = task
            try await task.value
        }
        settled = stamps
    }

    private func save(_ files: [String: [UInt8]]) async throws {
        var wanted = kept
        wanted.files = files
        do throws(KubernetesError) {
            let answer = try await ask(
                try wanted.request(namespace: namespace, name: Self.secretName))
            kept = SecretFiles(files: files, version: try SecretFiles(object: answer).version)
        } catch {
            guard [.conflict, .alreadyExists].contains(error.code) else {
                throw VaultFault.unanswered(error)
            }
            try await adopt(files)
        }
    }

    /// A write whose answer was lost makes the next one a conflict with oneself.
    private func adopt(_ files: [String: [UInt8]]) async throws {
        let present: SecretFiles
        do throws(KubernetesError) {
            present = try SecretFiles(
                object: await ask(
                    ObjectRequest(
                        .get,
                        ObjectPath(.secrets, namespace: namespace, name: Self.secretName))))
        } catch {
            throw VaultFault.unanswered(error)
        }
        guard present.files == files else { throw VaultFault.taken }
        kept = present
    }

    /// All files at one moment: read again if one changed meanwhile, as several do when a root changes.
    private func read() throws -> (files: [String: [UInt8]], stamps: [String: FileStamp]) {
        while true {
            let before = try stamps()
            var files: [String: [UInt8]] = [:]
            for folder in folders {
                for name in try present(in: folder) {
                    var file = DurableFile(path: "\(folder.path)/\(name)")
                    file.maximumBytes = SecretFiles.bytesMaximum
                    guard let text = try file.read() else { continue }
                    files[folder.name.isEmpty ? name : "\(folder.name)/\(name)"] =
                        Array(text.utf8)
                }
            }
            if try stamps() == before { return (files, before) }
        }
    }

    private func stamps() throws -> [String: FileStamp] {
        var stamps: [String: FileStamp] = [:]
        for folder in folders {
            for name in try present(in: folder) {
                let path = "\(folder.path)/\(name)"
                stamps[path] = FileStamp(path)
            }
        }
        return stamps
    }

    /// Files that count, by name.
    private func present(in folder: Folder) throws -> [String] {
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { name in
            var isFolder = false
            let exists = FileManager.default.fileExists(
                atPath: "\(folder.path)/\(name)", isDirectory: &isFolder)
            return exists && !isFolder && !name.hasSuffix(".new")
                && folder.files?.contains(name) != false
        }.sorted()
    }
}

extension SecretFiles {
    /// Contents by name; of the outermost folder without those of the others.
    fileprivate func files(in folder: String) -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        for (path, contents) in files {
            let parts = path.split(separator: "/")
            if parts.count == 1, folder.isEmpty { result[path] = contents }
            if parts.count == 2, parts[0] == folder { result[String(parts[1])] = contents }
        }
        return result
    }
}
