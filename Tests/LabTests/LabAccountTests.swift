// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Yams

@testable import MeshLab

@Suite("Who processes of a lab are to its API servers")
struct LabAccountTests {
    /// `VERB RESOURCE` of each rule of the roles called like the account.
    private func granted(to account: String) throws -> Set<String> {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "scripts/kubernetes/rbac.yaml")
        let roles = try compose_all(yaml: String(contentsOf: file, encoding: .utf8)).filter {
            ["Role", "ClusterRole"].contains($0["kind"]?.string)
                && $0["metadata"]?["name"]?.string == account
        }
        let rules = try #require(roles.isEmpty ? nil : roles).flatMap {
            Array($0["rules"]?.sequence ?? [])
        }
        return Set(rules.flatMap { pairs($0["verbs"], $0["resources"]) })
    }

    private func pairs(_ verbs: Node?, _ resources: Node?) -> [String] {
        (verbs?.sequence ?? []).flatMap { verb in
            (resources?.sequence ?? []).map { "\(verb.string ?? "") \($0.string ?? "")" }
        }
    }

    @Test("they may what the manifests grant", arguments: [LabAccount.agent, .authority])
    func rights(account: LabAccount) throws {
        let rights = account.rules.flatMap { rule in
            rule.verbs.flatMap { verb in rule.resources.map { "\(verb) \($0)" } }
        }
        #expect(try Set(rights) == granted(to: account.name))
    }
}
