// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A folder of Kubernetes manifests, read on demand. ``FolderWatcher`` says when.
///
/// Files are `*.yaml`, `*.yml` and `*.json` that don't begin with a dot; folders within are not
/// entered. Links are followed.
public struct ManifestFolder: Sendable {
    public static let maximumFiles = 10_000

    public let path: String
    private var index = ManifestIndex()
    private var stamps: [String: FileStamp] = [:]

    public init(path: String) { self.path = path }

    public var snapshot: FolderSnapshot { index.snapshot }

    /// Reads every file that is new or looks different, and takes out those that are gone.
    ///
    /// - Returns: whether the snapshot changed.
    /// - Throws: ``FolderError``: the folder can't be listed; the snapshot stays as it was.
    public mutating func scan(nowUnixSeconds now: Int64) throws(FolderError) -> Bool {
        let names = try list()
        var changed = false
        if names.count > Self.maximumFiles {
            changed = index.setFolderProblem(
                "the folder has \(names.count) manifests; only the first \(Self.maximumFiles) by "
                    + "name are read: put several objects into one file", now: now)
        } else {
            changed = index.setFolderProblem(nil, now: now)
        }
        let used = Set(names.sorted().prefix(Self.maximumFiles))
        for name in Set(stamps.keys).subtracting(used) where remove(name, now: now) {
            changed = true
        }
        for name in used.sorted() where reread(name, onlyIfDifferent: true, now: now) {
            changed = true
        }
        return changed
    }

    /// Reads one file again, or takes it out if it is gone; other names are ignored.
    ///
    /// - Returns: whether the snapshot changed.
    public mutating func reread(_ name: String, nowUnixSeconds now: Int64) -> Bool {
        guard Self.isManifest(name) else { return false }
        return reread(name, onlyIfDifferent: false, now: now)
    }

    /// There may be files that aren't read: only a scan can tell whether a change lets one in.
    var isFull: Bool { stamps.count >= Self.maximumFiles }

    /// Notes that the folder was lost; what it last said stays in force.
    mutating func noteLoss(_ error: FolderError, nowUnixSeconds now: Int64) -> Bool {
        index.setFolderProblem("\(error); what it last said stays in force", now: now)
    }

    static func isManifest(_ name: String) -> Bool {
        !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
    }

    private mutating func reread(_ name: String, onlyIfDifferent: Bool, now: Int64) -> Bool {
        do throws(FileFailure) {
            let file = try ManifestDescriptor(path: "\(path)/\(name)")
            let stamp = try file.stamp()
            if onlyIfDifferent, stamps[name] == stamp { return false }
            let bytes = try file.contents(max: ManifestFile.maximumBytes + 1)
            // A file just written may be written again without a different stamp.
            let isSettled = stamp.modifiedNanoseconds < (now - 2) * 1_000_000_000
            stamps[name] = isSettled ? stamp : FileStamp.none
            return index.update(
                name, to: ManifestFile(bytes: bytes), modified: stamp.modifiedNanoseconds, now: now)
        } catch {
            switch error {
            case .gone:
                return remove(name, now: now)
            case .failed(let doing, let code):
                stamps[name] = FileStamp.none
                let message = "can't be \(doing): \(String(cString: strerror(code)))"
                return index.fail(name, [ManifestFault(line: 0, message: message)], now: now)
            }
        }
    }

    private mutating func remove(_ name: String, now: Int64) -> Bool {
        stamps[name] = nil
        return index.remove(name, now: now)
    }

    private func list() throws(FolderError) -> [String] {
        guard let directory = opendir(path) else { throw FolderError(path: path, errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if Self.isManifest(name) { names.append(name) }
        }
        return names
    }
}

/// Why a folder can't be watched or listed.
public struct FolderError: Error, Hashable, Sendable, CustomStringConvertible {
    public let path: String
    public let errno: Int32

    public var description: String {
        switch errno {
        case ENOENT: "folder \(path) does not exist; create it, or name another one"
        case ENOTDIR: "\(path) is not a folder; name the folder that holds the manifests"
        case EACCES: "folder \(path) must not be read; permit the agent to read it"
        case ENOSPC:
            "folder \(path) can't be watched: too many inotify watches; raise "
                + "fs.inotify.max_user_watches"
        case EMFILE:
            "folder \(path) can't be watched: too many inotify instances; raise "
                + "fs.inotify.max_user_instances"
        default: "folder \(path) can't be read: \(String(cString: strerror(errno)))"
        }
    }
}
