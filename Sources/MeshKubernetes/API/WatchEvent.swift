// SPDX-License-Identifier: Apache-2.0

/// One line of a watch.
public enum WatchEvent: Hashable, Sendable {
    case added(ObjectText)
    case modified(ObjectText)
    case deleted(ObjectText)
    /// - Parameter endsInitialEvents: everything that existed when a streaming list began has been
    ///   sent.
    case bookmark(resourceVersion: String, endsInitialEvents: Bool)
    /// The server gives the watch up.
    case error(KubernetesError)
    /// A line of valid JSON that says nothing usable: a new type, or an object without a name.
    case unusable
}

/// What comes of a watch.
public enum WatchNews: Hashable, Sendable {
    /// The server accepted it.
    case opened
    case event(WatchEvent)
}

extension WatchEvent {
    /// - Throws: ``JSONFault``: the stream is no watch, or was cut; it is read again from the last
    ///   version.
    init(line: [UInt8]) throws(JSONFault) {
        var type: String?
        var range: Range<Int>?
        var scanner = JSONScanner(line)
        try scanner.members { (key, scanner) throws(JSONFault) in
            switch key {
            case "type": type = try scanner.stringOrNull()
            case "object": range = try scanner.skip()
            default: try scanner.skip()
            }
        }
        try scanner.end()
        guard let type, let range else { throw scanner.fault() }
        switch type {
        case "ADDED", "MODIFIED", "DELETED":
            self = try ObjectText(in: line, at: range).map { Self(type, $0) } ?? .unusable
        case "BOOKMARK": self = try Self.bookmark(in: line, at: range)
        case "ERROR":
            self = .error(KubernetesError(status: try JSONValue(Array(line[range]))))
        default: self = .unusable
        }
    }

    /// What can be said of a line that is too long to be kept: servers write `metadata` early.
    ///
    /// - Parameter prefix: the line's beginning.
    /// - Throws: ``JSONFault`` if it says nothing.
    init(prefix: [UInt8]) throws(JSONFault) {
        var type: String?
        var metadata: ObjectMetadata?
        var scanner = JSONScanner(prefix)
        do throws(JSONFault) {
            try scanner.members { (key, scanner) throws(JSONFault) in
                guard key == "object" else {
                    if key == "type" { type = try scanner.string() } else { try scanner.skip() }
                    return
                }
                try scanner.members { (key, scanner) throws(JSONFault) in
                    if key == "metadata" {
                        metadata = try ObjectMetadata(&scanner)
                    } else {
                        try scanner.skip()
                    }
                }
            }
        } catch {
            // Cut off behind the metadata.
            if metadata?.object == nil { throw error }
        }
        guard let type, ["ADDED", "MODIFIED", "DELETED"].contains(type), let metadata,
            let name = metadata.object
        else { throw scanner.fault() }
        self = Self(
            type, ObjectText(name: name, resourceVersion: metadata.resourceVersion, json: nil))
    }

    private init(_ type: String, _ object: ObjectText) {
        self =
            switch type {
            case "ADDED": .added(object)
            case "MODIFIED": .modified(object)
            default: .deleted(object)
            }
    }

    private static func bookmark(
        in line: [UInt8], at range: Range<Int>
    ) throws(JSONFault) -> WatchEvent {
        var scanner = JSONScanner(line, from: range.lowerBound)
        var metadata: ObjectMetadata?
        try scanner.members { (key, scanner) throws(JSONFault) in
            if key == "metadata" {
                metadata = try ObjectMetadata(&scanner)
            } else {
                try scanner.skip()
            }
        }
        guard let metadata, ObjectText.isVersion(metadata.resourceVersion) else { return .unusable }
        return .bookmark(
            resourceVersion: metadata.resourceVersion,
            endsInitialEvents: metadata.endsInitialEvents)
    }
}
