// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshKubernetes
import MeshModel
import MeshPolicy
import MeshReplication
import MeshStore

extension AdminBridge {
    func policies() async throws -> [PolicyStatus] {
        let tables = store.snapshot()
        let reconciler = await reconciliation.policies
        let refused = await state.core.refusals[configuration.cluster] ?? [:]
        let here = reconciler.endpointsHere(tables)
        return tables.policies.entries.map { entry in
            let policy = entry.row.policy
            let (state, problem): (PolicyStatus.State, String?) =
                switch entry.status {
                case .done: (.enforced, nil)
                case .pending: (.pending, nil)
                case .error(let reason): (.refused, reason)
                }
            let record = "\(RecordKey(kind: .policy, name: policy.name.recordName))"
            return PolicyStatus(
                kind: policy.name.kind.rawValue,
                namespace: policy.name.namespace.isEmpty ? nil : policy.name.namespace,
                name: policy.name.name, tier: "\(policy.tier)",
                priority: policy.tier == .standard ? nil : policy.priority,
                rules: policy.sections.reduce(0) { $0 + $1.ingress.count + $1.egress.count },
                endpointsHere: here[policy.name]?.count ?? 0, state: state,
                problem: problem ?? refused[record])
        }
    }

    func policy(_ name: String) async throws -> PolicyMeaning {
        guard let wanted = PolicyName(recordName: name) else {
            throw AdminFault(
                .invalidRequest, "\(name) is no kind and name of a policy",
                hint: "write KIND NAMESPACE/NAME, as weft policy list shows them")
        }
        let tables = store.snapshot()
        let reconciler = await reconciliation.policies
        guard let book = reconciler.book, let row = tables.policies[wanted] else {
            throw AdminFault(
                .notFound, "there is no \(wanted)", hint: "weft policy list shows them")
        }
        var meaning = PolicyMeaning(check(row.policy, book, reconciler))
        meaning.endpointsHere =
            (reconciler.endpointsHere(tables)[wanted] ?? []).map { "\($0)" }.sorted()
        return meaning
    }

    func checkPolicies(_ manifest: [UInt8]) async throws -> PolicyCheckAnswer {
        let file = PolicyManifest(
            bytes: manifest, file: "",
            nowUnixSeconds: Int64(realTimeNanoseconds() / 1_000_000_000))
        guard file.problems.isEmpty else {
            return PolicyCheckAnswer(problems: file.problems.map { "\($0)" }, policies: [])
        }
        let reconciler = await reconciliation.policies
        let names = Set(file.policies.map(\.name))
        let others = store.read { $0.policies.rows }.map(\.policy).filter {
            !names.contains($0.name)
        }
        let book: PolicyBook
        do throws(PolicyOverflow) {
            book = try PolicyBook(
                others + file.policies, environment: configuration.policyEnvironment)
        } catch {
            return PolicyCheckAnswer(problems: ["\(error)"], policies: [])
        }
        return PolicyCheckAnswer(
            problems: [],
            policies: file.policies.map { PolicyMeaning(check($0, book, reconciler)) })
    }

    private func check(
        _ policy: Policy, _ book: PolicyBook, _ reconciler: PolicyReconciler
    ) -> PolicyCheck {
        var principals = Set(reconciler.subjectsByAddress.values.map(\.principal))
        for case .endpoint(let principal) in reconciler.peers.values {
            principals.insert(principal)
        }
        return book.check(policy, principals: Array(principals)) {
            configuration.identityLabels.isRelevant($0)
        }
    }

    /// Which policy decided against a flow.
    func explanation(of mark: FlowPolicy?) async -> String? {
        guard let mark else { return nil }
        return await reconciliation.explanation(of: mark)
    }
}

extension AgentConfiguration {
    var policyEnvironment: PolicyEnvironment {
        PolicyEnvironment(cluster: clusterName, scope: policy.scope)
    }
}

extension PolicyMeaning {
    init(_ check: PolicyCheck) {
        self.init(
            policy: "\(check.policy)", sentences: check.sentences,
            findings: check.findings.map { "\($0)" })
    }
}

extension PolicyReconciler {
    /// Endpoints of this node by the policies that select them.
    func endpointsHere(_ tables: MeshTables) -> [PolicyName: Set<ObjectName>] {
        guard let book else { return [:] }
        var found: [PolicyName: Set<ObjectName>] = [:]
        for (address, subject) in subjectsByAddress {
            guard let object = tables.endpoints[address]?.object else { continue }
            for name in book.policies(selecting: subject.principal) {
                found[name, default: []].insert(object)
            }
        }
        return found
    }
}
