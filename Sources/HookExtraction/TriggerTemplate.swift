// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The output template of a trigger: read once into a flat list of steps, written out for every
// event. Values go over as they were sent, digits and all; what a path does not find is left out.

public import JSONLD

/// A compiled `outputTemplate`.
public struct TriggerTemplate: Sendable, Hashable {
    /// A text of the template that looks like a path or function and is none that leads anywhere. Its member is left
    /// out of every output.
    public struct Problem: Sendable, Hashable {
        /// Octet of the template's document.
        public var offset: Int
        public var path: String
        public var reason: TriggerPath.Problem
    }

    enum Step: Sendable, Hashable {
        case beginObject(name: String?)
        case endObject
        case beginArray(name: String?)
        case endArray
        /// JSON.
        case literal(name: String?, [UInt8])
        /// nil where the text leads nowhere.
        case reference(name: String?, TriggerPath?)
    }

    let steps: [Step]
    public let problems: [Problem]

    /// What a template is filled from.
    public struct Source: Sendable {
        /// The event's data.
        public var data: JSONValue
        public var id: String
        public var name: String
        public var createdAt: String

        public init(data: JSONValue, id: String, name: String, createdAt: String) {
            self.data = data
            self.id = id
            self.name = name
            self.createdAt = createdAt
        }
    }

    public enum Result: Sendable, Hashable {
        /// JSON on one line.
        case output([UInt8])
        /// Larger than `sizeLimit`, or more looked at than `workLimit`.
        case tooCostly
    }

    /// Octets of an output. One document may be referred to many times.
    public static let sizeLimit = 4 << 20
    /// Members and elements looked at for one output.
    public static let workLimit = 1_000_000

    /// - Parameter template: an object.
    public init(_ template: JSONValue) {
        var builder = Builder()
        builder.build(template)
        steps = builder.steps
        problems = builder.problems
    }

    /// The paths of the template with the JSON pointers (RFC 6901) of the places they fill.
    public var references: [(place: [String], path: TriggerPath)] {
        var place: [String] = []
        var counts: [Int?] = []
        var found: [(place: [String], path: TriggerPath)] = []
        func segment(_ name: String?) -> String {
            guard name == nil, let last = counts.indices.last, let count = counts[last] else { return name ?? "" }
            counts[last] = count + 1
            return String(count)
        }
        for step in steps {
            switch step {
            case .beginObject(let name), .beginArray(let name):
                place.append(segment(name))
                if case .beginArray = step { counts.append(0) } else { counts.append(nil) }
            case .endObject, .endArray:
                place.removeLast()
                counts.removeLast()
            case .literal(let name, _): _ = segment(name)
            case .reference(let name, let path):
                let last = segment(name)
                // The first place is the template itself.
                if let path { found.append((place.dropFirst() + [last], path)) }
            }
        }
        return found
    }

    /// Writes the template out; time and room are bounded by `workLimit` and `sizeLimit`.
    public func fill(from source: Source) -> Result {
        var writer = JSONWriter(capacity: 512)
        var work = Self.workLimit
        for step in steps {
            switch step {
            case .beginObject(let name):
                if let name { writer.name(name) }
                writer.beginObject()
            case .endObject: writer.endObject()
            case .beginArray(let name):
                if let name { writer.name(name) }
                writer.beginArray()
            case .endArray: writer.endArray()
            case .literal(let name, let json):
                if let name { writer.name(name) }
                writer.raw(json)
            case .reference(let name, let path):
                Self.write(path, name, source, &writer, &work)
            }
            if work < 0 || writer.bytes.count > Self.sizeLimit { return .tooCostly }
        }
        return .output(writer.bytes)
    }

    /// A member that is not found is left out; an element becomes null, so that those behind it keep their place.
    private static func write(
        _ path: TriggerPath?, _ name: String?, _ source: Source, _ writer: inout JSONWriter, _ work: inout Int
    ) {
        func begin() { if let name { writer.name(name) } }
        switch path?.root {
        case .data?:
            switch path?.follow(from: source.data, work: &work) ?? .nothing {
            case .value(let value):
                begin()
                writer.rawOnOneLine(value.text)
            case .count(let count):
                begin()
                writer.integer(count)
            case .nothing: if name == nil { writer.null() }
            }
        case .createdAt? where path?.segments.isEmpty == true:
            begin()
            writer.string(source.createdAt)
        case .id? where path?.segments.isEmpty == true:
            begin()
            writer.string(source.id)
        case .name? where path?.segments.isEmpty == true:
            begin()
            writer.string(source.name)
        case .createdAt?, .id?, .name?, nil: if name == nil { writer.null() }
        }
    }

    /// Walks over the template with a stack of its own.
    private struct Builder {
        private enum Task {
            case value(name: String?, JSONValue, path: String)
            case end(Step)
        }

        private(set) var steps: [Step] = []
        private(set) var problems: [Problem] = []

        mutating func build(_ template: JSONValue) {
            var tasks: [Task] = [.value(name: nil, template, path: "")]
            while let task = tasks.popLast() {
                switch task {
                case .end(let step): steps.append(step)
                case .value(let name, let value, let path):
                    switch value.kind {
                    case .object:
                        steps.append(.beginObject(name: name))
                        tasks.append(.end(.endObject))
                        tasks += value.members.reversed().map { .value(name: $0.name, $0.value, path: "\(path).\($0.name)") }
                    case .array:
                        steps.append(.beginArray(name: name))
                        tasks.append(.end(.endArray))
                        tasks += value.elements.enumerated().reversed().map {
                            .value(name: nil, $0.element, path: "\(path)[\($0.offset)]")
                        }
                    case .string: text(value, name, path)
                    case .number, .true, .false, .null:
                        steps.append(.literal(name: name, Array(value.text)))
                    }
                }
            }
        }

        private mutating func text(_ value: JSONValue, _ name: String?, _ path: String) {
            do throws(TriggerPath.Problem) {
                guard let reference = try TriggerPath.read(value.string ?? "") else {
                    return steps.append(.literal(name: name, Array(value.text)))
                }
                steps.append(.reference(name: name, reference))
            } catch {
                problems.append(Problem(offset: value.range.lowerBound, path: path, reason: error))
                steps.append(.reference(name: name, nil))
            }
        }
    }
}
