// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One run of an operation: its tree, its options, what it has loaded and what it may still cost.

/// State shared by the algorithms of one run. Used by one thread.
final class Session {
    let tree: Tree
    let symbols: SymbolTable
    let options: JSONLDOptions
    let limits: JSONLDLimits
    let loader: any DocumentLoader
    let compiled: CompiledContexts
    private let maximumDepth: Int
    private let maximumCells: Int
    private let maximumText: Int

    var htmlReader: (any HTMLScriptReader)?
    /// Whether all scripts of an HTML document count.
    var extractsAllScripts = false

    /// The way to the value at hand, for errors.
    let path = Pool<PathStep>(capacity: 64)
    /// What is left of `JSONLDLimits.termDefinitions`.
    var remainingDefinitions: Int
    var dependencyDepth = 0
    /// Nested calls of algorithms that recurse, one element each.
    private let calls = Pool<UInt8>(capacity: 64)
    var remoteContexts: [Symbol: RemoteContext] = [:]

    enum PathStep: BitwiseCopyable {
        case key(Symbol)
        case index(Int)
    }

    /// Contexts that came of applying the scoped context of a term. They are kept here and not by the contexts they
    /// came from, which they may refer to as their previous ones.
    var scopedContexts: [ScopedKey: ScopedResult] = [:]

    /// Results of applying a loaded context to an active one: neighbours in an array often name the same context.
    var appliedContexts: [AppliedKey: ScopedResult] = [:]

    struct AppliedKey: Hashable {
        var active: ObjectIdentifier
        var address: Symbol
        var baseURL: Symbol?
    }

    struct ScopedKey: Hashable {
        var active: ObjectIdentifier
        /// The context that defines the term, where it is another one.
        var source: ObjectIdentifier
        var term: Symbol
        /// A property-scoped context overrides protected terms; a type-scoped one doesn't propagate.
        var isTypeScoped: Bool
    }

    struct ScopedResult {
        var result: ActiveContext
        /// Those that the key names, kept so that no other object can get their identity.
        var active: ActiveContext
        var source: ActiveContext
    }

    struct RemoteContext {
        var context: Value
        var documentIRI: Symbol
    }

    /// - Parameter symbols: The table to use; nil for one that stands on that of `compiled`.
    init(
        options: JSONLDOptions, loader: any DocumentLoader, compiled: CompiledContexts, symbols: SymbolTable? = nil
    ) {
        self.options = options
        limits = options.limits
        maximumDepth = options.limits.depth
        // Places in the tree are numbers of 32 bits.
        maximumCells = min(options.limits.cells, Int(Int32.max) / 2)
        maximumText = options.limits.textSize
        self.loader = loader
        self.compiled = compiled
        self.symbols = symbols ?? SymbolTable(base: compiled.symbols, capacity: 256)
        tree = Tree(symbols: self.symbols)
        remainingDefinitions = options.limits.termDefinitions
    }

    deinit {
        path.deallocate()
        calls.deallocate()
    }

    var isVersion1_0: Bool { options.processingMode == .version1_0 }

    // MARK: errors

    func error(_ code: JSONLDError.Code, _ detail: String) -> JSONLDError {
        JSONLDError(code, detail, pointer: pointer)
    }

    func error(_ code: JSONLDError.Code, _ detail: String, _ subject: Symbol) -> JSONLDError {
        error(code, "\(detail): \(symbols.text(subject).prefix(200))")
    }

    // RFC 6901 section 3: "~" is written as "~0" and "/" as "~1".
    private var pointer: String {
        var pointer = ""
        for step in path.elements {
            pointer += "/"
            switch step {
            case .index(let index): pointer += String(index)
            case .key(let key):
                for character in symbols.text(key).unicodeScalars {
                    switch character {
                    case "~": pointer += "~0"
                    case "/": pointer += "~1"
                    default: pointer.unicodeScalars.append(character)
                    }
                }
            }
        }
        return pointer
    }

    // MARK: limits

    /// To be called wherever an algorithm goes one level deeper; `leave` is its counterpart.
    @inline(__always)
    func enter() throws(JSONLDError) {
        calls.append(0)
        if calls.count > maximumDepth { throw error(.limitExceeded, "nested deeper than \(limits.depth)") }
        if tree.cellCount > maximumCells { throw error(.limitExceeded, "more than \(limits.cells) values") }
        try checkTextSize()
    }

    @inline(__always)
    func checkTextSize() throws(JSONLDError) {
        if symbols.byteCount > maximumText { throw error(.limitExceeded, "more than \(maximumText) octets of text") }
    }

    @inline(__always)
    func leave() {
        calls.removeLast()
    }

    /// Starts anew after an error, for another part of the work.
    func resetPath() {
        path.removeAll()
        calls.removeAll()
        dependencyDepth = 0
    }

    /// Counts term definitions that are made or gone through.
    func spendDefinitions(_ count: Int = 1) throws(JSONLDError) {
        remainingDefinitions -= count
        if remainingDefinitions < 0 {
            throw error(.contextOverflow, "more than \(limits.termDefinitions) term definitions")
        }
        try checkTextSize()
    }
}
