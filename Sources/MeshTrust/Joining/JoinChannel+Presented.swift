// SPDX-License-Identifier: Apache-2.0

extension JoinToken {
    /// The connection to whoever presents these certificates, if it is the cluster that made the token.
    /// That it holds the root's key, its answer proves.
    ///
    /// - Parameter presented: DER; leaf first, root last.
    /// - Throws: ``JoinRefusal/wrongPin(expected:found:)``: nothing was sent.
    public func channel(presented: [[UInt8]]) throws(JoinRefusal) -> JoinChannel {
        var found: [KeyPin] = []
        if let last = presented.last, let root = try? CertificateReader.certificate(last) {
            found = [KeyPin(of: root)]
        }
        guard let leaf = presented.first, !Set(found).isDisjoint(with: pins)
        else { throw .wrongPin(expected: pins, found: found) }
        return JoinChannel(serverCertificate: leaf)
    }
}
