// SPDX-License-Identifier: Apache-2.0

/// Who belongs to the mesh; needs the administration socket of the cluster's home.
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

    public func forget(cluster: String) async throws -> RosterAnswer {
        try await post("/v1/roster/\(segment(cluster))/forget", [String: String]())
    }
}
