// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a cluster says back about its ServiceExports.
public enum ExportConditions {
    /// - Parameters:
    ///   - service: the exported service, nil if there is none of its name.
    ///   - isAlias: an ExternalName service, which can't be exported.
    ///   - merged: what all clusters make of it.
    ///   - now: Unix seconds.
    /// - Returns: what its conditions shall be; nil if they are so already.
    public static func wanted(
        of export: ServiceExportManifest, service: ServiceRecord?, isAlias: Bool,
        merged: ExportedService?, nowUnixSeconds now: UInt64
    ) -> [ObjectCondition]? {
        var wanted: [ObjectCondition] = []
        func set(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String) {
            wanted.append(
                ObjectCondition(
                    type, isTrue, reason, message, generation: export.generation,
                    after: export.conditions[type], nowUnixSeconds: now))
        }
        if isAlias {
            set(
                "Valid", false, "InvalidServiceType",
                "an alias of another name can't be exported, nor what can't be read")
        } else if service == nil {
            set("Valid", false, "NoService", "there is no service of this name")
        } else {
            set("Valid", true, "Valid", "")
        }
        if let service, service.isShared {
            set("Ready", true, "Exported", "")
        } else if service != nil {
            set("Ready", false, "Pending", "an annotation keeps the service from other clusters")
        } else {
            set("Ready", false, "Pending", "nothing is exported")
        }
        let conflicts = merged?.conflicts ?? []
        if !conflicts.isEmpty, service != nil {
            let reasons = ExportConflict.Reason.allCases.filter { reason in
                conflicts.contains { $0.reason == reason }
            }
            set(
                "Conflict", true, reasons.map(\.rawValue).joined(separator: ","),
                conflicts.map(\.description).joined(separator: "; "))
        } else {
            set("Conflict", false, "NoConflicts", "")
        }
        let all = export.conditions.saying(wanted)
        return Set(export.conditions) == Set(all) ? nil : all
    }

    /// The body of a merge patch of a ServiceExport's status.
    public static func patch(_ conditions: [ObjectCondition]) -> JSONValue {
        ["status": ["conditions": .array(conditions.map(\.json))]]
    }
}
