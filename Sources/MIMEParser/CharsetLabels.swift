// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Generated: labels of charsets, without their punctuation, and what is read for them. All labels of the WHATWG
// Encoding Standard, the names of the IANA registry that mail uses, and spellings that occur in mail.

enum CharsetLabels {
    /// From a label in lower case without anything but letters and digits.
    static let all: [String: CharsetEncoding] = {
        var table: [String: CharsetEncoding] = [:]
        for (labels, encoding) in groups {
            for label in labels.split(separator: " ") { table[String(label)] = encoding }
        }
        return table
    }()

    private static let groups: [(String, CharsetEncoding)] = [
        (
            """
            usascii ascii ansix341968 isoir6 iso646us cp367 ibm367 csascii us ansix341986 iso646irv1991 646
            """,
            .unlabelled
        ),
        ("unicode11utf8 unicode20utf8 utf8 xunicode20utf8 cp65001 utf8sig utf8mb4 utf8n", .utf8),
        ("866 cp866 csibm866 ibm866", .singleByte(SingleByteTables.ibm866)),
        (
            """
            csisolatin2 iso88592 isoir101 iso885921987 l2 latin2 88592 xiso88592 cp28592
            """,
            .singleByte(SingleByteTables.iso88592)
        ),
        (
            """
            csisolatin3 iso88593 isoir109 iso885931988 l3 latin3 88593 xiso88593 cp28593
            """,
            .singleByte(SingleByteTables.iso88593)
        ),
        (
            """
            csisolatin4 iso88594 isoir110 iso885941988 l4 latin4 88594 xiso88594 cp28594
            """,
            .singleByte(SingleByteTables.iso88594)
        ),
        (
            """
            csisolatincyrillic cyrillic iso88595 isoir144 iso885951988 88595 xiso88595 cp28595
            """,
            .singleByte(SingleByteTables.iso88595)
        ),
        (
            """
            arabic asmo708 csiso88596e csiso88596i csisolatinarabic ecma114 iso88596 iso88596e iso88596i \
            isoir127 iso885961987 88596 xiso88596 cp28596
            """,
            .singleByte(SingleByteTables.iso88596)
        ),
        (
            """
            csisolatingreek ecma118 elot928 greek greek8 iso88597 isoir126 iso885971987 suneugreek 88597 \
            xiso88597 cp28597
            """,
            .singleByte(SingleByteTables.iso88597)
        ),
        (
            """
            csiso88598e csisolatinhebrew hebrew iso88598 iso88598e isoir138 iso885981988 visual csiso88598i \
            iso88598i logical 88598 xiso88598 cp28598
            """,
            .singleByte(SingleByteTables.iso88598)
        ),
        ("csisolatin6 iso885910 isoir157 l6 latin6 885910 xiso885910 cp28600", .singleByte(SingleByteTables.iso885910)),
        ("iso885913 885913 xiso885913 cp28603 latin7 l7 isoir179", .singleByte(SingleByteTables.iso885913)),
        ("iso885914 885914 xiso885914 cp28604 latin8 isoceltic l8 isoir199", .singleByte(SingleByteTables.iso885914)),
        (
            """
            csisolatin9 iso885915 l9 885915 xiso885915 cp28605 latin9 latin0 isoir203
            """,
            .singleByte(SingleByteTables.iso885915)
        ),
        ("iso885916 885916 xiso885916 cp28606 latin10 l10 isoir226", .singleByte(SingleByteTables.iso885916)),
        ("cskoi8r koi koi8 koi8r", .singleByte(SingleByteTables.koi8R)),
        ("koi8ru koi8u", .singleByte(SingleByteTables.koi8U)),
        ("csmacintosh mac macintosh xmacroman macroman", .singleByte(SingleByteTables.macintosh)),
        (
            """
            dos874 iso885911 tis620 windows874 cp874 ibm874 xwindows874 isoir166
            """,
            .singleByte(SingleByteTables.windows874)
        ),
        (
            """
            cp1250 windows1250 xcp1250 win1250 ms1250 1250 cswindows1250 ibm1250 msee
            """,
            .singleByte(SingleByteTables.windows1250)
        ),
        (
            """
            cp1251 windows1251 xcp1251 win1251 ms1251 1251 cswindows1251 ibm1251 mscyrl
            """,
            .singleByte(SingleByteTables.windows1251)
        ),
        (
            """
            cp1252 cp819 csisolatin1 ibm819 iso88591 isoir100 iso885911987 l1 latin1 windows1252 xcp1252 win1252 \
            ms1252 1252 cswindows1252 ibm1252 88591 isolatin1 xansi ansi msansi western iso88591windows31latin1 \
            iso88591windows30latin1 xiso88591 iso88511
            """,
            .singleByte(SingleByteTables.windows1252)
        ),
        (
            """
            cp1253 windows1253 xcp1253 win1253 ms1253 1253 cswindows1253 ibm1253 msgreek
            """,
            .singleByte(SingleByteTables.windows1253)
        ),
        (
            """
            cp1254 csisolatin5 iso88599 isoir148 iso885991989 l5 latin5 windows1254 xcp1254 win1254 ms1254 1254 \
            cswindows1254 ibm1254 msturk
            """,
            .singleByte(SingleByteTables.windows1254)
        ),
        (
            """
            cp1255 windows1255 xcp1255 win1255 ms1255 1255 cswindows1255 ibm1255 mshebr
            """,
            .singleByte(SingleByteTables.windows1255)
        ),
        (
            """
            cp1256 windows1256 xcp1256 win1256 ms1256 1256 cswindows1256 ibm1256 msarab
            """,
            .singleByte(SingleByteTables.windows1256)
        ),
        (
            """
            cp1257 windows1257 xcp1257 win1257 ms1257 1257 cswindows1257 ibm1257 winbaltrim
            """,
            .singleByte(SingleByteTables.windows1257)
        ),
        (
            """
            cp1258 windows1258 xcp1258 win1258 ms1258 1258 cswindows1258 ibm1258
            """,
            .singleByte(SingleByteTables.windows1258)
        ),
        ("xmaccyrillic xmacukrainian maccyrillic macuk", .singleByte(SingleByteTables.macCyrillic)),
        (
            """
            chinese csgb2312 csiso58gb231280 gb2312 gb231280 gbk isoir58 xgbk gb18030 gb180302000 gb180302005 \
            euccn xeuccn cp936 ms936 windows936 csgb18030 csgbk cngb 936
            """,
            .eastAsian(.gb18030)
        ),
        ("big5 big5hkscs cnbig5 csbig5 xxbig5 big5eten cp950 ms950 windows950 950", .eastAsian(.big5)),
        ("cseucpkdfmtjapanese eucjp xeucjp xeuc ujis eucjpms cp51932 xeucjpms", .eastAsian(.eucJP)),
        (
            """
            csiso2022jp iso2022jp iso2022jp1 iso2022jp2 iso2022jp3 iso2022jpms cp50220 cp50221 cp50222 \
            csiso2022jp2 jis jis7 iso2022jp2004 xiso2022jp
            """,
            .iso2022JP
        ),
        (
            """
            csshiftjis ms932 mskanji shiftjis sjis windows31j xsjis cp932 windows932 xmscp932 932 ibm943 cp943 \
            shiftjisx0213 shiftjis2004 cswindows31j pck
            """,
            .eastAsian(.shiftJIS)
        ),
        (
            """
            cseuckr csksc56011987 euckr isoir149 korean ksc56011987 ksc56011989 ksc5601 windows949 cp949 ms949 \
            uhc 949 xwindows949
            """,
            .eastAsian(.eucKR)
        ),
        ("unicodefffe utf16be unicodebig csutf16be cp1201 ucs2be", .utf16(.big)),
        ("csunicode iso10646ucs2 ucs2 unicode utf16 csutf16", .utf16(nil)),
        ("unicodefeff utf16le unicodelittle csutf16le cp1200 ucs2le", .utf16(.little)),
        ("xuserdefined", .userDefined),
        ("ibm437 cp437 437 csibm437 cspc437 cspc8codepage437", .singleByte(SingleByteTables.ibm437)),
        ("ibm737 cp737 737 csibm737 cspc737", .singleByte(SingleByteTables.ibm737)),
        ("ibm775 cp775 775 csibm775 cspc775", .singleByte(SingleByteTables.ibm775)),
        ("ibm850 cp850 850 csibm850 cspc850 cspc850multilingual", .singleByte(SingleByteTables.ibm850)),
        ("ibm852 cp852 852 csibm852 cspc852 cspcp852", .singleByte(SingleByteTables.ibm852)),
        ("ibm855 cp855 855 csibm855 cspc855", .singleByte(SingleByteTables.ibm855)),
        ("ibm857 cp857 857 csibm857 cspc857", .singleByte(SingleByteTables.ibm857)),
        (
            """
            ibm858 cp858 858 csibm858 cspc858 cp00858 ccsid00858 pcmultilingual850euro
            """,
            .singleByte(SingleByteTables.ibm858)
        ),
        ("ibm860 cp860 860 csibm860 cspc860", .singleByte(SingleByteTables.ibm860)),
        ("ibm861 cp861 861 csibm861 cspc861", .singleByte(SingleByteTables.ibm861)),
        ("ibm862 cp862 862 csibm862 cspc862 cspc862latinhebrew", .singleByte(SingleByteTables.ibm862)),
        ("ibm863 cp863 863 csibm863 cspc863", .singleByte(SingleByteTables.ibm863)),
        ("ibm864 cp864 864 csibm864 cspc864", .singleByte(SingleByteTables.ibm864)),
        ("ibm865 cp865 865 csibm865 cspc865", .singleByte(SingleByteTables.ibm865)),
        ("ibm869 cp869 869 csibm869 cspc869", .singleByte(SingleByteTables.ibm869)),
        ("ibm720 cp720 720 csibm720 cspc720 dos720", .singleByte(SingleByteTables.ibm720)),
        ("ibm1125 cp1125 1125 csibm1125 cspc1125 cp866u ruscii", .singleByte(SingleByteTables.ibm1125)),
        ("hproman8 roman8 r8 cshproman8", .singleByte(SingleByteTables.hpRoman8)),
        ("koi8t", .singleByte(SingleByteTables.koi8T)),
        ("kz1048 strk10482002 rk1048", .singleByte(SingleByteTables.kz1048)),
        ("ptcp154 csptcp154 pt154 cp154 cyrillicasian", .singleByte(SingleByteTables.ptcp154)),
        ("xmacce maccentraleurope macce maclatin2 xmaccentraleurroman", .singleByte(SingleByteTables.macCe)),
        ("xmaccroatian maccroatian", .singleByte(SingleByteTables.macCroatian)),
        ("xmacgreek macgreek", .singleByte(SingleByteTables.macGreek)),
        ("xmacicelandic macis maciceland", .singleByte(SingleByteTables.macIcelandic)),
        ("xmacromanian macromania", .singleByte(SingleByteTables.macRomanian)),
        ("xmacturkish macturkish", .singleByte(SingleByteTables.macTurkish)),
        ("xmacarabic macarabic", .singleByte(SingleByteTables.macArabic)),
        ("xmacfarsi macfarsi", .singleByte(SingleByteTables.macFarsi)),
        ("johab cp1361 ms1361 ksc56011992", .library("JOHAB")),
        ("euctw cns11643 xeuctw", .library("EUC-TW")),
        ("viscii csviscii viscii111", .library("VISCII")),
        ("tcvn tcvn57121 tcvn5712 tcvn571211993", .library("TCVN5712-1")),
        ("armscii8", .library("ARMSCII-8")),
        ("georgianps", .library("GEORGIAN-PS")),
        ("georgianacademy", .library("GEORGIAN-ACADEMY")),
        ("iso2022cn iso2022cnext csiso2022cn", .library("ISO-2022-CN-EXT")),
        ("utf7 unicode11utf7 csunicode11utf7 xunicode20utf7", .library("UTF-7")),
        ("iso2022kr csiso2022kr", .iso2022KR),
        ("hzgb2312 hz xhzgb2312", .hz),
        ("utf32 ucs4 iso10646ucs4 csutf32 csucs4", .utf32(nil)),
        ("utf32be ucs4be cp12001 csutf32be", .utf32(.big)),
        ("utf32le ucs4le cp12000 csutf32le", .utf32(.little)),
    ]
}
