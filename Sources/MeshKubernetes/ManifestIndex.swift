// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// Files of manifests → one snapshot. Pure and incremental: a changed file costs as much as it
/// holds.
///
/// A file with a problem keeps in force what it last said without one. Of several files that
/// declare an object, the one that was modified first counts, then the first by name.
struct ManifestIndex: Sendable {
    private(set) var snapshot = FolderSnapshot()

    private var files: [String: File] = [:]
    private var claims: [ManifestKey: Set<String>] = [:]
    private var duplicates: [ManifestKey: [ManifestProblem]] = [:]
    private var folderProblem: ManifestProblem?

    private struct File: Sendable {
        var objects: [ManifestKey: ManifestObject] = [:]
        var ignored: [String: Int] = [:]
        /// Of the contents that are in force, in nanoseconds since 1970.
        var modified: Int64 = .max
        var problems: [ManifestProblem] = []
    }

    /// Takes in a file that appeared or changed.
    ///
    /// - Parameter modified: nanoseconds since 1970.
    /// - Returns: whether the snapshot changed.
    mutating func update(
        _ name: String, to parsed: ManifestFile, modified: Int64, now: Int64
    ) -> Bool {
        guard parsed.faults.isEmpty else { return fail(name, parsed.faults, now: now) }
        let file = File(objects: parsed.objects, ignored: parsed.ignored, modified: modified)
        return replace(name, with: file, now: now)
    }

    /// Notes that a file can't be read or used; what it said before stays in force.
    mutating func fail(_ name: String, _ faults: [ManifestFault], now: Int64) -> Bool {
        var file = files[name] ?? File()
        let known = file.problems
        file.problems = faults.map { fault in
            problem(name, fault.line, fault.message, now: now, known: known)
        }
        guard file.problems != known else { return false }
        files[name] = file
        collectProblems()
        return true
    }

    /// Takes out a file that is gone.
    mutating func remove(_ name: String, now: Int64) -> Bool {
        files[name] == nil ? false : replace(name, with: nil, now: now)
    }

    /// Notes that the folder as a whole can't be read, or nil that it can.
    mutating func setFolderProblem(_ message: String?, now: Int64) -> Bool {
        guard folderProblem?.message != message else { return false }
        folderProblem = message.map {
            ManifestProblem(file: "", line: 0, message: $0, sinceUnixSeconds: now)
        }
        collectProblems()
        return true
    }

    private mutating func replace(_ name: String, with file: File?, now: Int64) -> Bool {
        let former = files[name]
        files[name] = file
        let formerKeys = Set((former?.objects ?? [:]).keys)
        let keys = Set((file?.objects ?? [:]).keys)
        for key in formerKeys.subtracting(keys) {
            claims[key]?.remove(name)
            if claims[key]?.isEmpty == true { claims[key] = nil }
        }
        for key in keys { claims[key, default: []].insert(name) }
        var changed = former?.ignored != file?.ignored
        for key in formerKeys.union(keys)
        where settle(key, former: former?.objects[key], now: now) {
            changed = true
        }
        count(former?.ignored ?? [:], by: -1)
        count(file?.ignored ?? [:], by: 1)
        return collectProblems() || changed
    }

    /// Decides which file speaks for an object; returns whether that changes what is in force.
    private mutating func settle(_ key: ManifestKey, former: ManifestObject?, now: Int64) -> Bool {
        let claimants = (claims[key] ?? []).sorted {
            (files[$0]?.modified ?? .max, $0) < (files[$1]?.modified ?? .max, $1)
        }
        guard let winner = claimants.first, let object = files[winner]?.objects[key] else {
            duplicates[key] = nil
            return former.map { put($0.content, present: false) } ?? false
        }
        let known = duplicates[key] ?? []
        let overruled = claimants.dropFirst().map { loser in
            problem(
                loser, files[loser]?.objects[key]?.line ?? 0,
                "\(key) is declared in \(winner) too, which is older and in force; remove one",
                now: now, known: known)
        }
        duplicates[key] = overruled.isEmpty ? nil : overruled
        return put(object.content, present: true)
    }

    private mutating func put(_ content: ManifestObject.Content, present: Bool) -> Bool {
        func set<Key, Value: Equatable>(
            _ key: Key, _ value: Value, in map: inout [Key: Value]
        ) -> Bool {
            guard map[key] != (present ? value : nil) else { return false }
            map[key] = present ? value : nil
            return true
        }
        switch content {
        case .record(let key, let encoded): return set(key, encoded, in: &snapshot.records)
        case .export(let name, let export): return set(name, export, in: &snapshot.exports)
        // Nobody but an API server is written to.
        case .imported: return false
        case .pod(let name, let pod): return set(name, pod, in: &snapshot.pods)
        // Which nodes there are is for the configuration or an API server to say.
        case .node(let node): return set(node.name, node.labels, in: &snapshot.nodeLabels)
        case .policy(let policy): return set(policy.name, policy, in: &snapshot.policies)
        }
    }

    private mutating func count(_ ignored: [String: Int], by sign: Int) {
        for (kind, number) in ignored {
            let sum = (snapshot.ignored[kind] ?? 0) + sign * number
            snapshot.ignored[kind] = sum == 0 ? nil : sum
        }
    }

    /// A problem that persists keeps the time it was first seen.
    private func problem(
        _ file: String, _ line: Int, _ message: String, now: Int64, known: [ManifestProblem]
    ) -> ManifestProblem {
        let same = known.first { $0.file == file && $0.message == message }
        return ManifestProblem(
            file: file, line: line, message: message,
            sinceUnixSeconds: same?.sinceUnixSeconds ?? now)
    }

    /// Returns whether they changed.
    @discardableResult
    private mutating func collectProblems() -> Bool {
        let all =
            [folderProblem].compactMap { $0 } + files.values.flatMap(\.problems)
            + duplicates.values.joined()
        let problems = all.sorted {
            ($0.file, $0.line, $0.message) < ($1.file, $1.line, $1.message)
        }
        guard problems != snapshot.problems else { return false }
        snapshot.problems = problems
        return true
    }
}
