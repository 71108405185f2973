// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a scan of an HTML document returns: script elements, problems; and the limits it keeps. Values only.

/// A script element of an HTML document, in document order.
public struct ScriptElement: Sendable, Hashable {
    /// An attribute of the start tag.
    public struct Attribute: Sendable, Hashable {
        /// Lower case (A to Z only, as HTML says).
        public var name: String
        /// Character references resolved, line ends are LF, NUL is U+FFFD.
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Whose script element it is.
    public enum Namespace: Sendable, Hashable {
        /// `content` is the text of the element, byte for byte.
        case html
        /// Inside `svg` or `math`, where `content` is markup; `ScriptScanner.text(of:in:)` takes the text out.
        case svg, mathML
    }

    /// In the order of the source, the first of duplicates kept (WHATWG HTML 13.2.5.33).
    public var attributes: [Attribute]
    /// Into the input: what stands between the start tag and the end tag (or whatever ended the element).
    public var content: Range<Int>
    /// False: the input ended inside the element.
    public var isTerminated: Bool
    /// Into the input: the start tag, from `<` to `>`.
    public var startTag: Range<Int>
    public var namespace: Namespace

    public init(
        attributes: [Attribute], content: Range<Int>, isTerminated: Bool, startTag: Range<Int>,
        namespace: Namespace = .html
    ) {
        self.attributes = attributes
        self.content = content
        self.isTerminated = isTerminated
        self.startTag = startTag
        self.namespace = namespace
    }

    /// The value of an attribute, by its lower-case name.
    public func attribute(_ name: String) -> String? {
        attributes.first { $0.name == name }?.value
    }

    /// The `type` attribute as written, after references.
    public var type: String? { attribute("type") }
}

/// Limits of a scan. Each says what happens when it is reached; nothing is thrown.
public struct ScriptLimits: Sendable, Hashable {
    /// Script elements a document. At the limit the scan stops, with the problem `scriptLimit`. Stops a mail of nothing
    /// but `<script></script>` from becoming hundreds of thousands of values.
    public var scripts = 1_000
    /// Attributes kept of one script start tag. Further ones are dropped, with the problem `attributeLimit`. Bounds the
    /// search for duplicates, which is quadratic in the attributes kept.
    public var attributes = 256
    /// Bytes read of one attribute name or value. The rest is cut off, with the problem `attributeLength`.
    public var attributeLength = 8_192
    /// Elements open at once, where open elements have to be known. Elements opened deeper count as closed at once,
    /// with the problem `depthLimit`. Bounds the search for an open element, which happens at every tag.
    public var depth = 512

    public init() {}
}

/// Something about the document that the caller may want to show. Never an error.
public struct ScriptProblem: Sendable, Hashable {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// More script elements than `ScriptLimits.scripts`; the scan stopped at `offset`.
        case scriptLimit
        /// A script start tag with more attributes than `ScriptLimits.attributes`.
        case attributeLimit
        /// An attribute longer than `ScriptLimits.attributeLength`.
        case attributeLength
        /// More open elements than `ScriptLimits.depth`; from here on `svg`, `math`, `template` may be judged wrongly.
        case depthLimit
        /// The input ended inside a script element.
        case unterminatedScript
    }

    public var code: Code
    /// Into the input.
    public var offset: Int

    public init(code: Code, offset: Int) {
        self.code = code
        self.offset = offset
    }
}

/// What a scan found.
public struct ScriptScan: Sendable, Hashable {
    public var elements: [ScriptElement]
    /// At most one of each code a script element, and `ScriptLimits` bounds those.
    public var problems: [ScriptProblem]

    public init(elements: [ScriptElement] = [], problems: [ScriptProblem] = []) {
        self.elements = elements
        self.problems = problems
    }
}
