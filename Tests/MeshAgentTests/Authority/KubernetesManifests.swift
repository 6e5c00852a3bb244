// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Foundation
import Yams

/// The objects of `scripts/kubernetes`.
struct KubernetesManifests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "scripts/kubernetes").path

    /// A verb on a resource, by name or on all.
    struct Right: Hashable, Comparable, CustomStringConvertible {
        let verb: String
        let group: String
        /// With its subresource.
        let resource: String
        /// Nil: all, or one that isn't there yet.
        var name: String?
        var isNamespaced = false

        var description: String {
            "\(verb) \(group)/\(resource)\(name.map { " \($0)" } ?? "")\(isNamespaced ? " here" : "")"
        }

        static func < (left: Right, right: Right) -> Bool { left.description < right.description }
    }

    /// Names of files that the kustomization applies.
    let files: [String]
    let objects: [Node]
    let kustomization: Node

    init() throws {
        func read(_ name: String) throws -> [Node] {
            let text = try String(
                contentsOf: URL(filePath: "\(Self.folder)/\(name)"), encoding: .utf8)
            return Array(try compose_all(yaml: text))
        }
        kustomization = try requireNode(read("kustomization.yaml").first)
        files = kustomization["resources"]?.sequence?.compactMap(\.string) ?? []
        objects = try files.flatMap(read)
    }

    func object(_ kind: String, _ name: String) throws -> Node {
        try requireNode(
            objects.first { $0["kind"]?.string == kind && $0["metadata"]?["name"]?.string == name })
    }

    /// What a service account of the manifests may do.
    func rights(of account: String) throws -> Set<Right> {
        var rights: Set<Right> = []
        for binding in objects {
            guard ["ClusterRoleBinding", "RoleBinding"].contains(binding["kind"]?.string ?? ""),
                binding["subjects"]?[0]?["name"]?.string == account
            else { continue }
            let isNamespaced = binding["kind"]?.string == "RoleBinding"
            let role = try object(
                isNamespaced ? "Role" : "ClusterRole",
                binding["roleRef"]?["name"]?.string ?? "")
            for rule in role["rules"]?.sequence ?? [] {
                let names = rule["resourceNames"]?.strings.map(Optional.some) ?? [nil]
                for group in rule["apiGroups"]?.strings ?? [] {
                    for resource in rule["resources"]?.strings ?? [] {
                        for verb in rule["verbs"]?.strings ?? [] {
                            for name in names {
                                rights.insert(
                                    Right(
                                        verb: verb, group: group, resource: resource, name: name,
                                        isNamespaced: isNamespaced))
                            }
                        }
                    }
                }
            }
        }
        return rights
    }

    /// The same for the double, which knows neither groups nor names.
    func rules(of account: String) throws -> [DoubleUser.Rule] {
        try rights(of: account).sorted().map { .init([$0.verb], [$0.resource]) }
    }

    /// The pod template's only container of a workload.
    func container(of kind: String, _ name: String) throws -> Node {
        try requireNode(pod(of: kind, name)["containers"]?[0])
    }

    func pod(of kind: String, _ name: String) throws -> Node {
        try requireNode(object(kind, name)["spec"]?["template"]?["spec"])
    }
}

struct Missing: Error {}

private func requireNode(_ node: Node?) throws -> Node {
    guard let node else { throw Missing() }
    return node
}

extension Node {
    var strings: [String] { sequence?.compactMap(\.string) ?? [] }
}
