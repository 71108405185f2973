// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// U-labels of internationalized host names: the characters allowed (RFC 5892), the rules of
// context (its appendix A), and the rule for right-to-left text (RFC 5893).

/// QUIRK: RFC 5890 section 2.3.2.1 asks for normalization form C. The standard library offers no normalization; single
/// code points that normalization would change are found, sequences of a letter and a mark are not.
enum InternationalLabel {
    // RFC 5891 section 4.2.3.
    static func isValid(_ label: [UInt32]) -> Bool {
        guard let first = label.first, first != "-", label.last != 0x2D else { return false }
        // Section 4.2.3.1: no "--" in third and fourth place.
        if label.count >= 4, label[2] == "-", label[3] == "-" { return false }
        // Section 4.2.3.2: no combining mark at the beginning.
        guard let scalar = Unicode.Scalar(first) else { return false }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: return false
        default: break
        }
        guard label.indices.allSatisfy({ isAllowed(label[$0], at: $0, in: label) }) else { return false }
        return !isRightToLeft(label) || keepsBidiRule(label)
    }

    // RFC 5892 section 3, in its order.
    private static func isAllowed(_ point: UInt32, at index: Int, in label: [UInt32]) -> Bool {
        switch point {
        // Section 2.6, exceptions.
        case 0xDF, 0x3C2, 0x6FD, 0x6FE, 0xF0B, 0x3007: return true
        case 0xB7, 0x375, 0x5F3, 0x5F4, 0x30FB, 0x660...0x669, 0x6F0...0x6F9, 0x200C, 0x200D:
            return keepsContext(point, at: index, in: label)
        case 0x640, 0x7FA, 0x302E, 0x302F, 0x3031...0x3035, 0x303B: return false
        case 0x2D, 0x30...0x39, 0x61...0x7A: return true
        // Section 2.9, old Hangul jamo; section 2.5, blocks.
        case 0x1100...0x11FF, 0xA960...0xA97C, 0xD7B0...0xD7FB: return false
        case 0x20D0...0x20FF, 0x1D100...0x1D24F: return false
        default: break
        }
        guard let properties = Unicode.Scalar(point)?.properties else { return false }
        // Section 2.2, unstable; section 2.3, ignorable.
        if properties.changesWhenNFKCCaseFolded || properties.isDefaultIgnorableCodePoint || properties.isWhitespace
            || properties.isNoncharacterCodePoint
        {
            return false
        }
        // Section 2.1, letters and digits.
        switch properties.generalCategory {
        case .lowercaseLetter, .uppercaseLetter, .otherLetter, .decimalNumber, .modifierLetter, .nonspacingMark,
            .spacingMark:
            return true
        default: return false
        }
    }

    // RFC 5892 appendix A.
    private static func keepsContext(_ point: UInt32, at index: Int, in label: [UInt32]) -> Bool {
        let before = index > 0 ? label[index - 1] : nil
        let after = index + 1 < label.count ? label[index + 1] : nil
        let isMember = { (point: UInt32?, table: [ClosedRange<UInt32>]) in point.map { contains(table, $0) } ?? false }
        switch point {
        case 0x200C: return isVirama(before) || joins(at: index, in: label)  // A.1
        case 0x200D: return isVirama(before)  // A.2
        case 0xB7: return before == 0x6C && after == 0x6C  // A.3
        case 0x375: return isMember(after, InternationalTables.greek)  // A.4
        case 0x5F3, 0x5F4: return isMember(before, InternationalTables.hebrew)  // A.5, A.6
        case 0x30FB: return label.contains { $0 != 0x30FB && contains(InternationalTables.japanese, $0) }  // A.7
        case 0x660...0x669: return !label.contains { (0x6F0...0x6F9).contains($0) }  // A.8
        default: return !label.contains { (0x660...0x669).contains($0) }  // A.9
        }
    }

    private static func isVirama(_ point: UInt32?) -> Bool {
        point.flatMap { Unicode.Scalar($0) }?.properties.canonicalCombiningClass.rawValue == 9
    }

    // Appendix A.1: Joining_Type:{L,D} T* U+200C T* Joining_Type:{R,D}
    private static func joins(at index: Int, in label: [UInt32]) -> Bool {
        var before = index - 1
        while before >= 0, isTransparent(label[before]) { before -= 1 }
        var after = index + 1
        while after < label.count, isTransparent(label[after]) { after += 1 }
        guard before >= 0, after < label.count else { return false }
        let tables = InternationalTables.self
        return (contains(tables.dualJoining, label[before]) || contains(tables.leftJoining, label[before]))
            && (contains(tables.dualJoining, label[after]) || contains(tables.rightJoining, label[after]))
    }

    private static func isTransparent(_ point: UInt32) -> Bool {
        guard let scalar = Unicode.Scalar(point), point != 0x200C, point != 0x200D else { return false }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return true
        default: return false
        }
    }

    // MARK: right to left

    private enum Direction { case left, right, arabicNumber, europeanNumber, mark, neutral }

    private static func direction(_ point: UInt32) -> Direction {
        if contains(InternationalTables.rightToLeft, point) { return .right }
        if contains(InternationalTables.arabicNumbers, point) { return .arabicNumber }
        if contains(InternationalTables.europeanNumbers, point) { return .europeanNumber }
        if contains(InternationalTables.neutral, point) { return .neutral }
        guard let scalar = Unicode.Scalar(point) else { return .neutral }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return .mark
        default: return .left
        }
    }

    // RFC 5893 section 2: a label with at least one character of class R, AL or AN.
    static func isRightToLeft(_ label: [UInt32]) -> Bool {
        label.contains { point in
            let direction = direction(point)
            return direction == .right || direction == .arabicNumber
        }
    }

    // RFC 5893 section 2, rules 1 to 6.
    static func keepsBidiRule(_ label: [UInt32]) -> Bool {
        let directions = label.map { direction($0) }
        guard let first = directions.first, let last = directions.last(where: { $0 != .mark }) else { return false }
        switch first {
        case .right:
            return !directions.contains(.left) && (last == .right || last == .europeanNumber || last == .arabicNumber)
                && !(directions.contains(.europeanNumber) && directions.contains(.arabicNumber))
        case .left:
            return !directions.contains(.right) && !directions.contains(.arabicNumber)
                && (last == .left || last == .europeanNumber)
        default: return false
        }
    }

    private static func contains(_ table: [ClosedRange<UInt32>], _ point: UInt32) -> Bool {
        var lower = 0
        var upper = table.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if table[middle].upperBound < point { lower = middle + 1 } else { upper = middle }
        }
        return lower < table.count && table[lower].lowerBound <= point
    }
}
