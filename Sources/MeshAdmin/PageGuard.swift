// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird

/// Lets through what a person's own browser asks of its own page, and nothing else: reading, under a
/// loopback name, not on behalf of another site. Says to the browser that the page needs nobody else.
struct PageGuard: RouterMiddleware {
    /// A name that an attacker makes resolve to 127.0.0.1 isn't among these. Whatever the port: a
    /// tunnel may have another.
    static let hosts: Set<String> = ["127.0.0.1", "localhost", "[::1]"]

    static let headers: HTTPFields = [
        .contentSecurityPolicy:
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            + "require-trusted-types-for 'script'; trusted-types 'none'",
        .cacheControl: "no-store",
        .xContentTypeOptions: "nosniff",
        .referrerPolicy: "no-referrer",
        .openerPolicy: "same-origin",
        .resourcePolicy: "same-origin",
    ]

    func handle(
        _ request: Request, context: BasicRequestContext,
        next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        var response =
            if let refusal = refusal(of: request) {
                try json(refusal, status: HTTPResponse.Status(code: refusal.code.status))
            } else if request.method != .get {
                try json(
                    AdminFault(.invalidRequest, "the page is for reading: GET only"),
                    status: .methodNotAllowed)
            } else {
                try await next(request, context)
            }
        if response.status == .methodNotAllowed { response.headers[.allow] = "GET" }
        for header in Self.headers { response.headers[header.name] = header.value }
        return response
    }

    private func refusal(of request: Request) -> AdminFault? {
        guard let host = request.head.authority, Self.isLoopback(host) else {
            return AdminFault(
                .forbidden, "the page answers under a loopback name only",
                hint: "open it as http://127.0.0.1:PORT/")
        }
        // A link to the page is fine, its data on another site's behalf is not.
        let site = request.headers[.fetchSite] ?? "none"
        guard request.uri.path == "/" || site == "none" || site == "same-origin" else {
            return AdminFault(.forbidden, "only the page itself may ask for this")
        }
        return nil
    }

    static func isLoopback(_ authority: String) -> Bool {
        var name = authority[...]
        if let colon = name.lastIndex(of: ":"), !name.hasSuffix("]") {
            guard UInt16(name[name.index(after: colon)...]) != nil else { return false }
            name = name[..<colon]
        }
        return hosts.contains(name.lowercased())
    }
}

extension HTTPField.Name {
    static let fetchSite = HTTPField.Name("Sec-Fetch-Site")!
    fileprivate static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    fileprivate static let openerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
    fileprivate static let resourcePolicy = HTTPField.Name("Cross-Origin-Resource-Policy")!
}
