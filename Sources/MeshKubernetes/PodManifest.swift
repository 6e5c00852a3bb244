// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshPolicy

/// What policies go by at a pod.
public struct PodManifest: Hashable, Sendable {
    /// On a pod or a namespace: `"true"` tries policies out.
    public static let auditAnnotation = "weft.io/policy-audit"
    /// On the copy of a pod that its kubelet has from a file: the UID that the kubelet gave it.
    static let mirrorAnnotation = "kubernetes.io/config.mirror"

    public let labels: Labels
    /// Of its containers, sorted.
    public let namedPorts: [NamedPort]
    public let isAudited: Bool
    /// As container runtimes are told it; nil where the object has none.
    public let uid: String?

    public init(
        labels: Labels, namedPorts: [NamedPort] = [], isAudited: Bool = false, uid: String? = nil
    ) {
        self.labels = labels
        self.namedPorts = namedPorts
        self.isAudited = isAudited
        self.uid = uid
    }
}

extension PodManifest {
    private static let containersMaximum = 128

    /// Nil for a pod without an address of its own: in its host's network, or run to its end, even
    /// if it isn't deleted yet. One that terminates has its address until it is gone.
    init?(_ root: ManifestField) throws(ManifestFault) {
        let spec = try root["spec"]
        let hasEnded = ["Succeeded", "Failed"].contains(try root["status"]["phase"].string())
        guard try spec["hostNetwork"].bool() != true, !hasEnded else { return nil }
        var ports: Set<NamedPort> = []
        for container in try spec["containers"].elements(max: Self.containersMaximum) {
            ports.formUnion(try container.namedPorts())
        }
        for container in try spec["initContainers"].elements(max: Self.containersMaximum)
        // KEP-753: those that restart live as long as the pod does.
        where try container["restartPolicy"].string() == "Always" {
            ports.formUnion(try container.namedPorts())
        }
        let metadata = try root["metadata"]
        let ownUID = try metadata["uid"].string()
        self.init(
            labels: try objectLabels(of: root), namedPorts: ports.sorted(),
            isAudited: try metadata["annotations"].isAudited(),
            uid: try metadata["annotations"][Self.mirrorAnnotation].string() ?? ownUID)
    }
}

extension ManifestField {
    func isAudited() throws(ManifestFault) -> Bool {
        let annotation = try self[PodManifest.auditAnnotation]
        switch try annotation.string() {
        case "true": return true
        case "false", nil: return false
        case let text?: throw annotation.fault("is \"\(text)\"; must be \"true\" or \"false\"")
        }
    }

    fileprivate func namedPorts() throws(ManifestFault) -> [NamedPort] {
        var ports: [NamedPort] = []
        for field in try self["ports"].elements(max: RecordLimit.ports) {
            guard let name = try field["name"].string(), !name.isEmpty else { continue }
            guard isLabel(name), name.utf8.count <= NamedPort.nameMaximum else {
                throw try field["name"].fault("is \"\(name)\"; must be 1 to 15 of a-z, 0-9 and -")
            }
            let transportField = try field["protocol"]
            let text = try transportField.string() ?? "TCP"
            guard let transport = TransportProtocol.allCases.first(where: { "\($0)" == text })
            else { throw transportField.fault("is \"\(text)\"; must be TCP, UDP or SCTP") }
            guard let port = try field["containerPort"].integer(in: 1...65_535) else {
                throw try field["containerPort"].fault("is missing")
            }
            ports.append(
                NamedPort(name: name, transport: transport, port: UInt16(clamping: port)))
        }
        return ports
    }
}
