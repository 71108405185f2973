// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The attributes of a tag as values, within limits.

struct AttributeList {
    let input: Input
    let limits: ScriptLimits
    private(set) var attributes: [ScriptElement.Attribute] = []
    /// Place of the first attribute that was too many.
    private(set) var dropped: Int?
    /// Place of the first name or value that was too long.
    private(set) var cut: Int?

    init(input: Input, limits: ScriptLimits) {
        self.input = input
        self.limits = limits
    }

    mutating func addAll(of tag: Tag) {
        let reader = MarkupReader(input)
        var index = tag.name.upperBound
        var place = AttributePlace()
        while case .attribute = reader.step(&index, &place) { add(place) }
    }

    private mutating func add(_ place: AttributePlace) {
        guard attributes.count < limits.attributes else {
            dropped = dropped ?? place.name.lowerBound
            return
        }
        let name = Self.lowercasedName(input, bounded(place.name))
        if attributes.contains(where: { $0.name == name }) { return }
        var value: [UInt8] = []
        TextResolver(input: input, context: .attribute).append(bounded(place.value), to: &value)
        attributes.append(ScriptElement.Attribute(name: name, value: String(decoding: value, as: UTF8.self)))
    }

    private mutating func bounded(_ range: Range<Int>) -> Range<Int> {
        guard range.count > limits.attributeLength else { return range }
        cut = cut ?? range.lowerBound
        return range.lowerBound..<(range.lowerBound + max(0, limits.attributeLength))
    }

    /// 13.2.5.8 and 13.2.5.33: A to Z in lower case, NUL as U+FFFD.
    static func lowercasedName(_ input: Input, _ range: Range<Int>) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for index in range {
            if input[index] == 0 {
                TextResolver.append(0xFFFD, to: &bytes)
            } else {
                bytes.append(input[index].lowercased)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
