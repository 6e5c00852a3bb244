// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshAdmin
import MeshLease
import MeshModel
import Testing
import Yams

@testable import MeshAgent
@testable import MeshKubernetes

@Suite("The manifests for Kubernetes")
struct ManifestTests {
    private typealias Right = KubernetesManifests.Right

    private let manifests: KubernetesManifests
    private let folder: TemporaryFolder

    init() throws {
        manifests = try KubernetesManifests()
        folder = try TemporaryFolder()
    }

    @Test("are all applied, each object in the namespace, and of this version")
    func whole() throws {
        let present = try FileManager.default.contentsOfDirectory(
            atPath: KubernetesManifests.folder)
        #expect(Set(present) == Set(manifests.files + ["kustomization.yaml"]))
        let namespace = manifests.kustomization["namespace"]?.string
        #expect(namespace == "weft-system")
        for object in manifests.objects {
            let kind = object["kind"]?.string ?? ""
            #expect(object["apiVersion"]?.string != nil && object["metadata"]?["name"] != nil)
            guard !kind.hasPrefix("Cluster"), kind != "Namespace" else { continue }
            #expect(object["metadata"]?["namespace"]?.string == namespace, "\(kind)")
        }
        #expect(manifests.kustomization["images"]?[0]?["newTag"]?.string == weftVersion)
    }

    // MARK: Configuration

    /// As a pod of a workload reads it, on the first of the nodes.
    private func layers(_ kind: String, _ name: String) throws -> ConfigurationLayers {
        let text = try #require(
            manifests.object("ConfigMap", "weft")["data"]?["weftd.yaml"]?.string)
        let here = [
            "spec.nodeName": "node-1", "status.hostIP": "192.0.2.1", "status.podIP": "10.1.0.7",
        ]
        var environment: [String: String] = [:]
        for variable in try manifests.container(of: kind, name)["env"]?.sequence ?? [] {
            let name = try #require(variable["name"]?.string)
            let field = variable["valueFrom"]?["fieldRef"]?["fieldPath"]?.string
            guard let field else {
                environment[name] = variable["value"]?.string
                continue
            }
            let value: String = try #require(here[field])
            environment[name] = value
        }
        return try ConfigurationLayers(
            file: folder.write("weftd.yaml", text), environment: environment)
    }

    @Test("configure an agent and an authority, which find each other")
    func configuration() throws {
        let agent = try layers("DaemonSet", "weft")
        #expect(agent.problems.isEmpty)
        let node = try AgentConfiguration(agent)
        let apart = try layers("Deployment", "weft-authority")
        #expect(apart.problems.isEmpty)
        let authority = try AgentConfiguration(apart, as: .authority)
        #expect(!node.isHome && !node.mayPublish && node.publisher.isApart)
        #expect(authority.isHome && authority.mayPublish && node.home == authority.node.name)
        #expect(
            try manifests.container(of: "Deployment", "weft-authority")["args"]?.strings
                == ["--authority"])

        let join = try #require(node.join?.node)
        let service = try #require(join.service)
        let object = try manifests.object("Service", service.name)
        #expect(object["metadata"]?["namespace"]?.string == service.namespace)
        #expect(object["spec"]?["clusterIP"]?.string == "None")
        let port = try #require(object["spec"]?["ports"]?[0])
        #expect(port["name"]?.string == EnrolmentAddresses.portName)
        #expect(port["targetPort"]?.int == Int(authority.ports.enrolment))
        let account = try #require(authority.join?.serviceAccount)
        let pod = try manifests.pod(of: "DaemonSet", "weft")
        #expect(
            "\(account)" == "weft-system:\(pod["serviceAccountName"]?.string ?? "")")
        // Where files are said to be, something is mounted that has them.
        let (volume, path) = try mount(of: join.tokenFile)
        let source = try #require(volume["projected"]?["sources"]?[0]?["serviceAccountToken"])
        #expect(source["audience"]?.string == ServiceAccountAttestor.audience)
        #expect(source["path"]?.string == path)
        let (roots, file) = try mount(of: join.bundleFile)
        #expect(roots["configMap"]?["name"]?.string == RootsMap.name)
        #expect(file == TrustMaterial.bundleFile)
        for path in [node.paths.state, node.paths.trust, node.paths.run, node.paths.bpf] {
            let (volume, rest) = try mount(of: path)
            let host = try #require(volume["hostPath"]?["path"]?.string, "\(path)")
            #expect(
                "\(host)\(rest.isEmpty ? "" : "/")\(rest)" == path, "outlives the pod, as itself")
        }
        #expect(try mount(of: node.paths.cgroup).0["hostPath"]?["path"]?.string == "/sys/fs/cgroup")
    }

    /// The volume of an agent that a path lies in, and where in it.
    private func mount(of path: String) throws -> (volume: Node, rest: String) {
        let mounts = try manifests.container(of: "DaemonSet", "weft")["volumeMounts"]?.sequence
        let mount = try #require(
            mounts?.filter {
                let at = $0["mountPath"]?.string ?? "-"
                return path == at || path.hasPrefix(at + "/")
            }.max { ($0["mountPath"]?.string ?? "").count < ($1["mountPath"]?.string ?? "").count },
            "\(path)")
        let volumes = try manifests.pod(of: "DaemonSet", "weft")["volumes"]?.sequence
        let volume = try #require(volumes?.first { $0["name"]?.string == mount["name"]?.string })
        let rest = path.dropFirst((mount["mountPath"]?.string ?? "").count)
        return (volume, String(rest.drop { $0 == "/" }))
    }

    // MARK: Rights

    private func right(_ request: ObjectRequest, isNamed: Bool = false) -> Right {
        let verb =
            switch request.method {
            case .get: request.path.name == nil ? "list" : "get"
            case .post: "create"
            case .put: "update"
            case .patch: "patch"
            case .delete: "delete"
            }
        return right(
            verb, request.path.resource, request.path.subresource, isNamed ? request.path.name : nil
        )
    }

    private func right(
        _ verb: String, _ resource: ObjectResource, _ part: String? = nil, _ name: String? = nil
    ) -> Right {
        Right(
            verb: verb, group: resource.group,
            resource: [resource.plural, part].compactMap { $0 }.joined(separator: "/"), name: name)
    }

    private var watched: Set<Right> {
        Set(
            (ObjectSelections.ofCluster + ObjectSelections.older.values).flatMap {
                [right("list", $0.resource), right("watch", $0.resource)]
            })
    }

    /// Of who tells the authors of objects that these can't be used.
    private var events: Set<Right> { [right("create", .events), right("patch", .events)] }

    private func here(_ rights: Set<Right>) -> Set<Right> {
        Set(
            rights.map {
                var right = $0
                right.isNamespaced = true
                return right
            })
    }

    @Test("let agents ask for what they ask for, and for nothing else")
    func agentRights() throws {
        let pods = ObjectSelections.ownPods(of: "n").resource
        let wanted = watched.union([
            right("list", pods), right("watch", pods),
            right(EnrolmentAddresses.request(of: ObjectName(namespace: "n", name: "s"))),
            right("get", .nodes),
        ]).union(events)
        let granted = try manifests.rights(of: "weft")
        #expect(granted.subtracting(wanted).isEmpty, "too much")
        #expect(wanted.subtracting(granted).isEmpty, "too little")
    }

    @Test("let the authority ask and write what it does, and nothing else")
    func authorityRights() async throws {
        // The multi-cluster API.
        let exported = ExportedService([])
        #expect(exported == nil)
        var cluster = watched.union(events)
        for resource in [ImportPlan.imports, .services, .endpointSlices] {
            for verb in ["create", "patch", "delete"] { cluster.insert(right(verb, resource)) }
        }
        cluster.insert(right("patch", ImportPlan.imports, "status"))
        cluster.insert(right("patch", .serviceExports("v1beta1"), "status"))
        cluster.insert(right(TokenReview.request(of: "t", for: "weft")))

        var own: Set<Right> = []
        let files = SecretFiles(files: ["a": [1]])
        let secret = AuthorityVault.secretName
        own.insert(right(try files.request(namespace: "n", name: secret)))
        own.insert(
            right(
                try SecretFiles(files: files.files, version: "1")
                    .request(namespace: "n", name: secret), isNamed: true))
        own.insert(
            right(
                ObjectRequest(.get, ObjectPath(.secrets, namespace: "n", name: secret)),
                isNamed: true))
        own.insert(right(RootsMap.request(namespace: "n", roots: ""), isNamed: true))
        let lease = KubernetesLease(
            namespace: "n", name: "weft-publisher", parameters: .contended)
        let record = LeaseRecord.initial
        for (request, isNamed) in [
            (LeaseCall.Request.read, true), (.swap(record, replacing: nil), false),
            (.swap(record, replacing: LeaseVersion(rawValue: "1")), true),
        ] {
            guard case .ask(let asked) = lease.begin(request, at: Date(), nonce: 0) else {
                continue
            }
            own.insert(right(asked, isNamed: isNamed))
        }
        own.insert(right("get", .pods))
        let wanted = cluster.union(here(own))
        let granted = try manifests.rights(of: "weft-authority")
        #expect(granted.subtracting(wanted).isEmpty, "too much")
        #expect(wanted.subtracting(granted).isEmpty, "too little")
        #expect(
            try manifests.rights(of: "weft").allSatisfy { $0.resource != "secrets" },
            "the authority's keys are its own")
    }

    // MARK: Workloads

    @Test("probe what is served, upgrade node by node, and ask for no more than is needed")
    func workloads() throws {
        let agent = try manifests.container(of: "DaemonSet", "weft")
        for name in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let probe = try #require(agent[name]?["httpGet"], "\(name)")
            #expect(probe["port"]?.int == Int(AgentConfiguration.defaultPagePort))
            #expect(probe["host"]?.string == "127.0.0.1" && probe["path"]?.string == "/")
        }
        let strategy = try manifests.object("DaemonSet", "weft")["spec"]?["updateStrategy"]
        #expect(strategy?["type"]?.string == "RollingUpdate")
        #expect(strategy?["rollingUpdate"]?["maxUnavailable"]?.int == 1)
        #expect(strategy?["rollingUpdate"]?["maxSurge"]?.int == 0)
        let pod = try manifests.pod(of: "DaemonSet", "weft")
        #expect(pod["hostNetwork"]?.bool == true)
        #expect(pod["tolerations"]?[0]?["operator"]?.string == "Exists")
        #expect(pod["tolerations"]?[0]?["key"] == nil)
        let privileges = try #require(agent["securityContext"])
        #expect(privileges["privileged"] == nil)
        #expect(privileges["capabilities"]?["drop"]?.strings == ["ALL"])
        #expect(privileges["capabilities"]?["add"]?.strings == Self.capabilities)

        let replicas = try manifests.object("Deployment", "weft-authority")
        #expect(replicas["spec"]?["replicas"]?.int == 2)
        let apart = try manifests.container(of: "Deployment", "weft-authority")
        let context = try #require(apart["securityContext"])
        #expect(context["runAsNonRoot"]?.bool == true)
        #expect(context["capabilities"]?["drop"]?.strings == ["ALL"])
        #expect(context["capabilities"]?["add"] == nil)
        let volumes = try manifests.pod(of: "Deployment", "weft-authority")["volumes"]?.sequence
        #expect(volumes?.contains { $0["hostPath"] != nil } == false, "keys stay in memory")
        let budget = try manifests.object("PodDisruptionBudget", "weft-authority")
        #expect(budget["spec"]?["maxUnavailable"]?.int == 1)
        let labels = replicas["spec"]?["template"]?["metadata"]?["labels"]
        #expect(budget["spec"]?["selector"]?["matchLabels"] == labels)
        #expect(try manifests.object("Service", "weft-authority")["spec"]?["selector"] == labels)
        let rule = try manifests.pod(of: "Deployment", "weft-authority")["affinity"]?[
            "podAntiAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]?[0]
        #expect(rule?["topologyKey"]?.string == "kubernetes.io/hostname")
        #expect(rule?["labelSelector"]?["matchLabels"] == labels)
    }

    private static let capabilities = ["NET_ADMIN", "SYS_ADMIN"]
}
