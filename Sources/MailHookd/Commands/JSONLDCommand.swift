// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd jsonld`: the JSON-LD algorithms on files. Results go to standard output, errors, which
// begin with the specification's code, to standard error.

import ArgumentParser
import Glibc
import JSONLD
import MailHookKit

struct JSONLDCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jsonld",
        abstract: "Expand, compact, flatten and frame JSON-LD, and turn it into RDF and back.",
        discussion: """
            Needs no configuration and no network: schema.org's context is built in, others come from a folder \
            (--contexts). `-` is standard input. On a terminal results are indented. Exit status 65 when the document \
            is refused; standard error then begins with the error code of the JSON-LD specification.
            """,
        subcommands: [
            Expand.self, Compact.self, Flatten.self, Frame.self, ToRDF.self, FromRDF.self, Canonize.self, Check.self,
        ])

    struct Expand: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Apply and remove all contexts.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments

        func run() throws {
            try JSONLDRunner.run { try options.write(options.processor(input).expand(try input.document())) }
        }
    }

    struct Compact: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Say a document in the terms of a context.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments
        @Option(help: ArgumentHelp("The context, or a document with @context.", valueName: "file"))
        var context: String

        func run() throws {
            try JSONLDRunner.run {
                let context = try JSONLDRunner.read(context)
                try options.write(options.processor(input).compact(try input.document(), context: context))
            }
        }
    }

    struct Flatten: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Put all nodes side by side.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments
        @Option(help: ArgumentHelp("Compact the result with this context.", valueName: "file"))
        var context: String?

        func run() throws {
            try JSONLDRunner.run {
                let context = try context.map { try JSONLDRunner.read($0) }
                try options.write(options.processor(input).flatten(try input.document(), context: context))
            }
        }
    }

    struct Frame: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lay nodes out as a frame says.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments
        @Option(help: ArgumentHelp("The frame.", valueName: "file"))
        var frame: String

        func run() throws {
            try JSONLDRunner.run {
                let frame = JSONLDInput.json(try JSONLDRunner.read(frame))
                try options.write(options.processor(input).frame(try input.document(), frame: frame))
            }
        }
    }

    struct ToRDF: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "to-rdf", abstract: "Write statements as N-Quads.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments

        func run() throws {
            try JSONLDRunner.run {
                Terminal.print(try options.processor(input).toRDF(try input.document()).nquads())
            }
        }
    }

    struct FromRDF: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "from-rdf", abstract: "Make JSON-LD of N-Quads.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments

        func run() throws {
            try JSONLDRunner.run {
                let quads = try NQuads.read(JSONLDRunner.read(input.file), isGeneralized: options.produceGeneralized)
                try options.write(options.processor(input).fromRDF(quads))
            }
        }
    }

    struct Canonize: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a dataset in canonical form (RDFC-1.0).",
            discussion: "The input is N-Quads where its name ends in .nq or .nt, else JSON-LD.")
        @OptionGroup var input: JSONLDInputArguments
        @OptionGroup var options: JSONLDProcessingArguments
        @Option(help: "SHA-256 or SHA-384.", transform: JSONLDRunner.hash)
        var hash = HashAlgorithm.sha256
        @Flag(help: "Print which blank node got which name, as JSON, instead of the statements.")
        var map = false

        func run() throws {
            try JSONLDRunner.run {
                let quads =
                    try input.isNQuads
                    ? NQuads.read(JSONLDRunner.read(input.file), isGeneralized: options.produceGeneralized)
                    : options.processor(input).toRDF(try input.document()).quads
                let dataset = try DatasetCanonicalization.canonize(quads, hash: hash)
                guard map else { return Terminal.print(dataset.nquads) }
                var writer = JSONWriter()
                writer.beginObject()
                for (label, name) in dataset.identifiers.sorted(by: { $0.key < $1.key }) { writer.member(label, name) }
                writer.endObject()
                Terminal.print(writer.bytes + [UInt8(ascii: "\n")])
            }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read JSON strictly (RFC 8259): exit status 0, or 65 with the place.")
        @Argument(help: ArgumentHelp("The text.", valueName: "file"))
        var file: String

        func run() throws {
            try JSONLDRunner.run {
                let bytes = try JSONLDRunner.read(file)
                do throws(JSONError) {
                    _ = try JSONDocument(bytes)
                } catch {
                    let place = error.position(in: bytes)
                    Terminal.printError("\(file):\(place.line):\(place.column): \(error.code.rawValue)")
                    throw ExitCode(JSONLDRunner.dataError)
                }
            }
        }
    }
}

/// What the subcommands share.
enum JSONLDRunner {
    /// EX_DATAERR.
    static let dataError: Int32 = 65
    /// Larger inputs are refused.
    private static let sizeLimit = 256 << 20

    static func read(_ path: String) throws(FileError) -> [UInt8] {
        if path == "-" { return try Files.read(descriptor: STDIN_FILENO, path: "standard input", limit: sizeLimit) }
        return try Files.read(path, limit: sizeLimit)
    }

    /// Runs `body` and turns its errors into messages and exit statuses.
    static func run(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as FileError {
            throw fail(error.description, status: SysExit.noInput)
        } catch let error as JSONLDError {
            Terminal.printError(Terminal.harmless(error.description))
            throw ExitCode(dataError)
        } catch let error as NQuadsError {
            Terminal.printError("line \(error.line): \(error.code.rawValue)")
            throw ExitCode(dataError)
        } catch is CanonicalizationError {
            Terminal.printError("the dataset needs more work than the limit allows")
            throw ExitCode(dataError)
        }
    }

    static func hash(_ text: String) throws -> HashAlgorithm {
        guard let hash = HashAlgorithm(rawValue: text.uppercased()) else {
            throw ValidationError("'\(text)' is neither SHA-256 nor SHA-384.")
        }
        return hash
    }
}
