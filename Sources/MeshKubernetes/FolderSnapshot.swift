// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshPolicy

/// Everything that a folder of manifests says now.
public struct FolderSnapshot: Hashable, Sendable {
    /// Encoded ``NamespaceRecord``s, ``ServiceRecord``s and ``SliceRecord``s.
    public internal(set) var records: [RecordKey: [UInt8]] = [:]
    /// ServiceExports, by their service.
    public internal(set) var exports: [ObjectName: ServiceExportManifest] = [:]
    public internal(set) var pods: [ObjectName: PodManifest] = [:]
    public internal(set) var nodeLabels: [String: Labels] = [:]
    public internal(set) var policies: [PolicyName: Policy] = [:]
    /// By file and line. What a file with a problem last said without one is in force.
    public internal(set) var problems: [ManifestProblem] = []
    /// Objects that Weft doesn't use, counted by `apiVersion kind`.
    public internal(set) var ignored: [String: Int] = [:]

    public init() {}

    /// ``records``, with the services as their exports make them.
    public var exportedRecords: [RecordKey: [UInt8]] {
        var result = records
        for (service, export) in exports {
            let key = RecordKey(kind: .service, name: "\(service)")
            if let encoded = records[key] { result[key] = exported(encoded, by: export) }
        }
        return result
    }
}

/// An encoded service record as a ServiceExport makes it.
func exported(_ service: [UInt8], by export: ServiceExportManifest?) -> [UInt8] {
    guard let export else { return service }
    do throws(DecodingFault) {
        return try ServiceRecord(encoded: service).exported(by: export).encoded
    } catch {
        // Of another version than this one: whoever reads it says so.
        return service
    }
}

/// Why a manifest, or a part of one, isn't in force.
public struct ManifestProblem: Hashable, Sendable {
    /// Name within the folder; empty for the folder itself.
    public let file: String
    /// From 1; 0 if the problem is the whole file's.
    public let line: Int
    /// What is wrong and what to do: `spec.ports[0].port is 70000; must be 1...65535`.
    public let message: String
    /// When the problem was first seen, in Unix seconds.
    public let sinceUnixSeconds: Int64
}

extension ManifestProblem: CustomStringConvertible {
    /// As compilers write it: `services.yaml:12: spec.ports[0].port is 70000; must be 1...65535`.
    public var description: String {
        [file, line == 0 ? "" : String(line)].filter { !$0.isEmpty }.map { "\($0):" }.joined()
            + (file.isEmpty ? message : " \(message)")
    }
}
