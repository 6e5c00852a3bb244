// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import MeshPolicy

/// What an API server's objects say, as a folder of the same objects would. Pure and incremental: a
/// changed object costs as much as it holds.
///
/// An object that can't be decoded keeps in force what it last said when it could; it is reported, and
/// everything else goes on.
public struct ObjectIndex: Sendable {
    /// Problems that are told; the rest is counted.
    public static let problemsMaximum = 256
    /// Of a sentence about an object.
    private static let messageMaximum = 512

    /// Encoded ``NamespaceRecord``s, ``ServiceRecord``s, ``SliceRecord``s, ``PolicyRecord``s and
    /// ``MemberRecord``s.
    public private(set) var records: [RecordKey: [UInt8]] = [:]
    public private(set) var pods: [ObjectName: PodManifest] = [:]
    /// Nodes that others can dial, by name.
    public private(set) var members: [String: MemberRecord] = [:]
    /// Prefixes of nodes' pods, by name.
    public private(set) var nodePrefixes: [String: [Prefix]] = [:]
    /// ServiceExports, by their service.
    public private(set) var exports: [ObjectName: ServiceExportManifest] = [:]
    /// What Weft itself has written there.
    public private(set) var imported: Set<ImportPlan.Target> = []
    /// Of the ServiceImports among them.
    public private(set) var importConditions: [ObjectName: [ObjectCondition]] = [:]
    /// As reflectors tell it, by what they watch.
    public private(set) var health: [ObjectSelection: FeedHealth] = [:]

    /// Cluster IPs of services that stand for imports.
    public private(set) var derivedAddresses: [ObjectName: [Address]] = [:]

    private var feeds: [ObjectSelection: Feed] = [:]
    private var contents: [ManifestKey: ManifestObject.Content] = [:]
    private var faults: [ManifestKey: (problem: ManifestProblem, object: ObjectProblem)] = [:]

    /// One selection's objects.
    private struct Feed: Sendable {
        var known: Set<ObjectName> = []
        /// Of the list that is arriving; nil between lists.
        var marked: Set<ObjectName>?
        /// A list has ended, or there is nothing to list.
        var isComplete = false
    }

    public init() {}

    /// Whether all that `selections` name has been listed at least once.
    public func isComplete(_ selections: some Sequence<ObjectSelection>) -> Bool {
        selections.allSatisfy { feeds[$0]?.isComplete ?? false }
    }

    public func count(of selection: ObjectSelection) -> Int { feeds[selection]?.known.count ?? 0 }

    /// Whether the server has an object, be it of a kind that Weft has no use for.
    public func has(_ name: ObjectName, in selection: ObjectSelection) -> Bool {
        feeds[selection]?.known.contains(name) ?? false
    }

    public var problemCount: Int { faults.count }

    /// The first ``problemsMaximum`` by object.
    public var problems: [ManifestProblem] {
        faults.keys.sorted().prefix(Self.problemsMaximum).compactMap { faults[$0]?.problem }
    }

    /// The same, for whoever tells the objects' authors.
    public var objectProblems: [ObjectProblem] {
        faults.keys.sorted().prefix(Self.problemsMaximum).compactMap { faults[$0]?.object }
    }

    /// Takes in what a reflector delivers.
    ///
    /// - Returns: what reads differently now.
    public mutating func receive(
        _ event: ObjectEvent, of selection: ObjectSelection, nowUnixSeconds now: Int64
    ) -> ObjectChanges {
        var changes = ObjectChanges()
        var feed = feeds.removeValue(forKey: selection) ?? Feed()
        switch event {
        case .listBegan: feed.marked = []
        case .listed(let objects):
            for object in objects {
                feed.marked?.insert(object.name)
                take(object, of: selection, in: &feed, now: now, into: &changes)
            }
        case .listEnded:
            let gone = feed.known.subtracting(feed.marked ?? feed.known)
            for name in gone.sorted() { remove(name, of: selection, in: &feed, into: &changes) }
            feed.marked = nil
            changes.completes = !feed.isComplete
            feed.isComplete = true
        case .changed(let object):
            take(object, of: selection, in: &feed, now: now, into: &changes)
        case .removed(let name, _): remove(name, of: selection, in: &feed, into: &changes)
        case .reached: break
        case .health(let news):
            health[selection] = news
            changes.healthMoved = true
            guard news.phase == .absent else { break }
            for name in feed.known.sorted() {
                remove(name, of: selection, in: &feed, into: &changes)
            }
            changes.completes = !feed.isComplete
            feed.isComplete = true
        }
        feeds[selection] = feed
        return changes
    }

    /// Lets go of what a reflector that was stopped had delivered.
    public mutating func forget(_ selection: ObjectSelection) -> ObjectChanges {
        var changes = ObjectChanges()
        var feed = feeds.removeValue(forKey: selection) ?? Feed()
        for name in feed.known.sorted() { remove(name, of: selection, in: &feed, into: &changes) }
        health[selection] = nil
        changes.healthMoved = true
        return changes
    }

    private mutating func take(
        _ object: ObjectText, of selection: ObjectSelection, in feed: inout Feed, now: Int64,
        into changes: inout ObjectChanges
    ) {
        feed.known.insert(object.name)
        let key = ManifestKey(selection.resource, object.name)
        do throws(ManifestFault) {
            let decoded = try ManifestObject(object, of: selection.resource)
            if case .node(let node) = decoded?.content { _ = try node.member() }
            if faults.removeValue(forKey: key) != nil { changes.problemsMoved = true }
            set(key, decoded?.content, into: &changes)
        } catch {
            let message = String(error.message.prefix(Self.messageMaximum))
            guard faults[key]?.problem.message != message else { return }
            changes.problemsMoved = true
            faults[key] = (
                ManifestProblem(
                    file: "API server: \(key)", line: 0, message: message,
                    sinceUnixSeconds: faults[key]?.problem.sinceUnixSeconds ?? now),
                ObjectProblem(object, of: selection.resource, message: message)
            )
        }
    }

    private mutating func remove(
        _ name: ObjectName, of selection: ObjectSelection, in feed: inout Feed,
        into changes: inout ObjectChanges
    ) {
        guard feed.known.remove(name) != nil else { return }
        let key = ManifestKey(selection.resource, name)
        if faults.removeValue(forKey: key) != nil { changes.problemsMoved = true }
        set(key, nil, into: &changes)
    }

    /// - Parameter content: nil for nothing, or nothing that Weft uses.
    private mutating func set(
        _ key: ManifestKey, _ content: ManifestObject.Content?, into changes: inout ObjectChanges
    ) {
        let former = contents[key]
        guard former != content else { return }
        contents[key] = content
        // What it was goes first: a Service that turned into an alias has no record any more.
        if let former { put(former, present: false, into: &changes) }
        if let content { put(content, present: true, into: &changes) }
    }

    private mutating func put(
        _ content: ManifestObject.Content, present: Bool, into changes: inout ObjectChanges
    ) {
        switch content {
        case .record(let key, let encoded):
            let export = key.kind == .service ? exports[named: key.name] : nil
            put(key, present ? exported(encoded, by: export) : nil, into: &changes)
            noteDerived(key, present ? encoded : nil)
        case .imported(let target, let conditions):
            if present { imported.insert(target) } else { imported.remove(target) }
            guard target.resource == ImportPlan.imports else { break }
            importConditions[target.name] = present ? conditions : nil
        case .policy(let policy):
            let record = PolicyRecord(policy)
            put(record.key, present ? record.encoded : nil, into: &changes)
        case .pod(let name, let pod):
            pods[name] = present ? pod : nil
            changes.podsMoved = true
        case .node(let node):
            let record = present ? try? node.member() : nil
            members[node.name] = record
            nodePrefixes[node.name] = record == nil ? nil : node.podPrefixes
            put(RecordKey(kind: .member, name: node.name), record?.encoded, into: &changes)
        case .export(let service, let export):
            exports[service] = present ? export : nil
            changes.exportsMoved = true
            let key = ManifestKey(kind: ObjectResource.services.kind, name: "\(service)")
            guard case .record(let key, let encoded) = contents[key] else { return }
            put(key, exported(encoded, by: exports[service]), into: &changes)
        }
    }

    /// Services that stand for imports are Weft's own, too.
    private mutating func noteDerived(_ key: RecordKey, _ encoded: [UInt8]?) {
        guard key.kind == .service, let name = ObjectName(path: key.name),
            name.name.hasPrefix(ImportPlan.derivedPrefix)
        else { return }
        let record = encoded.flatMap { try? ServiceRecord(encoded: $0) }
        let target = ImportPlan.Target(.services, name)
        if record?.derivedFrom.isEmpty == false {
            imported.insert(target)
            derivedAddresses[name] = record?.addresses
        } else {
            imported.remove(target)
            derivedAddresses[name] = nil
        }
    }

    private mutating func put(
        _ key: RecordKey, _ value: [UInt8]?, into changes: inout ObjectChanges
    ) {
        records[key] = value
        changes.records[key] = .some(value)
    }
}

/// What an event changed of an ``ObjectIndex``.
public struct ObjectChanges: Sendable {
    /// Nil: gone.
    public internal(set) var records: [RecordKey: [UInt8]?] = [:]
    public internal(set) var podsMoved = false
    public internal(set) var exportsMoved = false
    public internal(set) var problemsMoved = false
    public internal(set) var healthMoved = false
    /// Whether the selection was listed for the first time.
    public internal(set) var completes = false
}

extension ManifestKey {
    fileprivate init(_ resource: ObjectResource, _ name: ObjectName) {
        self.init(
            kind: resource.kind, name: name.namespace.isEmpty ? name.name : "\(name)")
    }
}

extension ManifestObject {
    /// Nil if Weft has no use for it.
    fileprivate init?(_ object: ObjectText, of resource: ObjectResource) throws(ManifestFault) {
        guard let json = object.json else {
            throw ManifestFault(
                line: 0, message: "is larger than \(ObjectText.maximumBytes >> 20) MiB")
        }
        let value: JSONValue
        do throws(JSONFault) {
            value = try JSONValue(json)
        } catch {
            throw ManifestFault(line: 0, message: "is no object: \(error)")
        }
        try self.init(
            ManifestField(root: value), kind: resource.kind, version: resource.apiVersion)
        guard key == ManifestKey(resource, object.name) else {
            throw ManifestFault(line: 0, message: "calls itself \(key)")
        }
    }
}

extension [ObjectName: ServiceExportManifest] {
    fileprivate subscript(named name: String) -> ServiceExportManifest? {
        guard !isEmpty else { return nil }
        return ObjectName(path: name).flatMap { self[$0] }
    }
}

extension ObjectName {
    /// `default/echo`.
    fileprivate init?(path: String) {
        let parts = path.split(separator: "/", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        self.init(namespace: String(parts[0]), name: String(parts[1]))
    }
}
