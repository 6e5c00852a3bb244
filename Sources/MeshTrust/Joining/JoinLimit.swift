// SPDX-License-Identifier: Apache-2.0

/// Bounds of everything that joining reads, and its times.
public enum JoinLimit {
    public static let addresses = 8
    /// Root certificates of a cluster: several while it rotates.
    public static let roots = 4
    public static let certificateBytes = 4096
    public static let prefixes = 64
    public static let namespacePatterns = 256
    /// As of a label key: the longest that a namespace pattern may be.
    public static let namespacePatternBytes = 317
    /// Signatures below a statement: one by each root that others may still know.
    public static let signatures = 4
    /// A signature with the certificates of its signer.
    public static let signatureBytes = 16 * 1024
    /// A statement without its signatures.
    public static let statementBytes = 160 * 1024
    /// With them, as ledgers and answers carry it.
    public static let encodedStatementBytes = 256 * 1024
    public static let requestBytes = 256 * 1024
    public static let responseBytes = 16 * 1024 * 1024
    /// Statements in a response: the newest of each member and its admissions.
    public static let statements = 16 * 1024
    /// Certificates in a node's chain.
    public static let chain = 4
    public static let certificateRequestBytes = 4 * 1024
    /// A platform's token: a service account's has some 1,200.
    public static let bearerTokenBytes = 16 * 1024

    /// Clocks that differ by more are worth an alarm.
    public static let clockAlarmSeconds: UInt64 = 30
    /// Clocks that differ by more can't join: what one side issues the other would find not yet valid.
    public static let clockToleranceSeconds: UInt64 = 300
}
