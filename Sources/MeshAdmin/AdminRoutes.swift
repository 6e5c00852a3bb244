// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPTypes
import Hummingbird
import MeshModel
import NIOCore
import ServiceLifecycle

/// Every route. Without `administration` the routes that change something answer `forbidden`.
func adminRouter(
    _ provider: any AdminProvider, administration: Bool
) -> Router<BasicRequestContext> {
    let router = metricsRouter(provider)
    addReading(provider, to: router)
    addAdministration(provider, to: router, allowed: administration)
    return router
}

func metricsRouter(_ provider: any AdminProvider) -> Router<BasicRequestContext> {
    let router = Router()
    router.add(middleware: FaultMiddleware())
    router.get("/metrics") { _, _ in
        Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(
                byteBuffer: ByteBuffer(
                    string: prometheusText(try await untilShutdown { try await provider.metrics() })
                )))
    }
    return router
}

private func addReading(_ provider: any AdminProvider, to router: Router<BasicRequestContext>) {
    router.answer("/v1/status") { try await provider.status() }
    router.answer("/v1/configuration") { try await provider.configurationStatus() }
    router.answer("/v1/clusters") { try await provider.clusters() }
    router.answer("/v1/nodes") { try await provider.nodes() }
    router.get("/v1/why/{cluster}") { _, context in
        let cluster = try context.parameters.require("cluster")
        return try json(
            try await untilShutdown { try await provider.why(cluster: cluster, node: nil) })
    }
    router.get("/v1/why/{cluster}/{node}") { _, context in
        let cluster = try context.parameters.require("cluster")
        let node = try context.parameters.require("node")
        return try json(
            try await untilShutdown { try await provider.why(cluster: cluster, node: node) })
    }
    addFlowStory(provider, to: router)
    router.answer("/v1/node/departure") { try await provider.departure() }
    router.answer("/v1/node/gossip-keys") { try await provider.gossipKeys() }
    router.answer("/v1/services") { try await provider.services() }
    router.get("/v1/services/{namespace}/{name}") { _, context in
        let object = try objectName(context)
        let services = try await untilShutdown { try await provider.services() }
        let frontends = services.filter {
            $0.namespace == object.namespace && $0.name == object.name
        }
        guard !frontends.isEmpty else {
            throw AdminFault(
                unknown: "service", "\(object)",
                among: Set(services.map { "\($0.namespace)/\($0.name)" }),
                hint: "weft service list shows them")
        }
        return try json(frontends)
    }
    router.get("/v1/endpoints") { request, _ in
        let isLocal = request.uri.queryParameters["node"] == "this"
        let endpoints = try await untilShutdown {
            try await provider.endpoints(ofThisNode: isLocal)
        }
        guard request.uri.queryParameters["form"] == "lines",
            let lines = EndpointLines(endpoints)
        else { return try json(endpoints) }
        return try json(lines)
    }
    router.answer("/v1/identities") { try await provider.identities() }
    router.answer("/v1/ca/status") { try await provider.trustStatus() }
    router.answer("/v1/ca/denials") { try await provider.denials() }
    addPolicies(provider, to: router)
    router.answer("/v1/drops") { try await provider.drops() }
    router.answer("/v1/bpf/maps") { try await provider.maps() }
    router.answer("/v1/bpf/services") { try await provider.kernelServices() }
    router.answer("/v1/bpf/connections") { try await provider.connections() }
    addFlows(provider, to: router)
}

private func addAdministration(
    _ provider: any AdminProvider, to router: Router<BasicRequestContext>, allowed: Bool
) {
    @Sendable func check() throws {
        guard allowed else {
            throw AdminFault(
                .forbidden, "this socket is for reading only",
                hint: "use weft-admin.sock beside it, as the user the agent runs as")
        }
    }
    addJoining(provider, to: router, check: check)
    addRotation(provider, to: router, check: check)
    addContainers(provider, to: router, check: check)
    router.post("/v1/endpoints") { request, _ in
        try check()
        let attach = try await body(AttachRequest.self, of: request)
        try validate(namespace: attach.namespace, name: attach.name)
        let endpoint = try await untilShutdown { try await provider.attach(attach) }
        return try json(endpoint, status: .created)
    }
    router.delete("/v1/endpoints/{namespace}/{name}") { _, context in
        try check()
        let object = try objectName(context)
        try await untilShutdown { try await provider.detach(object) }
        return Response(status: .noContent)
    }
    router.post("/v1/drain") { request, _ in
        try check()
        let drain = try await body(DrainRequest.self, of: request)
        try await untilShutdown { try await provider.drain(drain.draining) }
        return Response(status: .noContent)
    }
    router.post("/v1/ca/deny") { request, _ in
        try check()
        let wish = try await body(DenyRequest.self, of: request)
        try await untilShutdown { try await provider.deny(wish) }
        return Response(status: .noContent)
    }
    router.post("/v1/ca/allow") { request, _ in
        try check()
        let wish = try await body(AllowRequest.self, of: request)
        try await untilShutdown { try await provider.allow(wish) }
        return Response(status: .noContent)
    }
    router.post("/v1/ca/certificates") { request, _ in
        try check()
        let wish = try await body(CertifyRequest.self, of: request)
        return try json(
            try await untilShutdown { try await provider.certify(wish) }, status: .created)
    }
    router.post("/v1/node/departure") { request, _ in
        try check()
        let departure = try await body(DepartureRequest.self, of: request)
        return try json(try await untilShutdown { try await provider.depart(departure) })
    }
    router.post("/v1/node/gossip-keys") { _, _ in
        try check()
        return try json(try await untilShutdown { try await provider.rotateGossipKey() })
    }
}

extension Router {
    fileprivate func answer<Answer: Encodable & Sendable>(
        _ path: RouterPath, with question: @escaping @Sendable () async throws -> Answer
    ) {
        get(path) { _, _ in try json(try await untilShutdown(question)) }
    }
}

/// A question that hangs must not keep the agent from shutting down.
func untilShutdown<Answer: Sendable>(
    _ question: @escaping @Sendable () async throws -> Answer
) async throws -> Answer {
    try await cancelWhenGracefulShutdown(question)
}

func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    Response(
        status: status, headers: [.contentType: "application/json"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: try adminJSON(value))))
}

func body<Body: Decodable>(
    _: Body.Type, of request: Request, upTo limit: Int = AdminServer.requestBytesMaximum
) async throws -> Body {
    let bytes: ByteBuffer
    do {
        bytes = try await request.body.collect(upTo: limit)
    } catch is NIOTooManyBytesError {
        throw AdminFault(.tooLarge, "the request is larger than \(limit) bytes")
    }
    do {
        return try JSONDecoder().decode(Body.self, from: Data(bytes.readableBytesView))
    } catch {
        throw AdminFault(.invalidRequest, "the request's body is not what is expected: \(error)")
    }
}

private func objectName(_ context: BasicRequestContext) throws -> ObjectName {
    let namespace = try context.parameters.require("namespace")
    let name = try context.parameters.require("name")
    try validate(namespace: namespace, name: name)
    return ObjectName(namespace: namespace, name: name)
}

func validate(namespace: String, name: String) throws {
    guard isLabel(namespace), isSubdomain(name) else {
        throw AdminFault(
            .invalidRequest, "'\(namespace)/\(name)' is not a namespace and a name",
            hint: "both consist of a-z, 0-9 and '-', a name also of '.'")
    }
}
