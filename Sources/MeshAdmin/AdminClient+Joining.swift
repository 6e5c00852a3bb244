// SPDX-License-Identifier: Apache-2.0

/// Who belongs to the mesh; needs a socket of the cluster's home, for changes the administration
/// socket.
extension AdminClient {
    public func makeToken(_ request: TokenRequest) async throws -> TokenAnswer {
        try await post("/v1/join/tokens", request)
    }

    /// Joins the cluster that made the token.
    public func join(_ target: String) async throws -> JoinAnswer {
        try await post("/v1/join", JoinRequestBody(target: target))
    }

    /// Begins to leave, or asks how far that has come.
    public func leave(force: Bool = false) async throws -> LeaveAnswer {
        try await post("/v1/leave", LeaveRequest(force: force))
    }

    /// - Parameter root: the beginning of a root's pin, if several clusters want the name.
    public func accept(cluster: String, root: String? = nil) async throws -> RosterAnswer {
        try await post("/v1/roster/\(segment(cluster))/accept", AcceptRequest(root: root))
    }

    public func tokens() async throws -> [TokenStatus] { try await get("/v1/join/tokens") }

    public func revoke(token id: String) async throws -> TokenStatus {
        try await post("/v1/join/tokens/\(segment(id))/revoke", [String: String]())
    }

    public func introducers() async throws -> IntroducersStatus { try await get("/v1/introducers") }

    /// - Parameter names: whose word about newcomers counts besides this cluster's; nil: the
    ///   founder's.
    public func setIntroducers(_ names: [String]?) async throws -> RosterAnswer {
        try await post("/v1/introducers", IntroducersRequest(names: names))
    }

    public func forget(cluster: String) async throws -> RosterAnswer {
        try await post("/v1/roster/\(segment(cluster))/forget", [String: String]())
    }
}
