// SPDX-License-Identifier: Apache-2.0
// Lists of options: those of IPv4 are only passed by; among those of a Geneve packet that is not in our own
// fixed form, ours is looked for, and critical ones.
#ifndef MOORLINE_OPTIONS_P4
#define MOORLINE_OPTIONS_P4

#include "headers.p4"
#include "metadata.p4"

// Of an IPv4 header that has some.
#define OPTION_BITS(ip) ((bit<32>)(ip.version_ihl[3:0] - IPV4_WORDS) << 5)

// A list of so many words: how far to look ahead has to be written in the program.
#define FOREIGN_LIST(number)                                                                       \
    state parse_list##number {                                                                     \
        meta.options.list = packet.lookahead<bit<(32 * number)>>() ++ (bit<(2016 - 32 * number)>)0; \
        transition judge_option;                                                                   \
    }

// The list stays where it is, and is only looked at: headers for it would cost a switch something in every
// packet. A frame that ends inside it is judged by its length.
parser ForeignOptions(packet_in packet, in geneve_t geneve, inout known_t meta) {
    state start {
        meta.fate = Fate.OPTIONS;
        meta.options.words_left = (bit<8>)geneve.form[13:8];
        meta.options.own = false;
        meta.options.unknown_critical = false;
        meta.options.too_long = false;
        meta.options.head = 0;
        meta.options.list = 0;
        transition select(meta.options.words_left) {
            1: parse_list1; 2: parse_list2; 3: parse_list3; 4: parse_list4;
            5: parse_list5; 6: parse_list6; 7: parse_list7; 8: parse_list8;
            9: parse_list9; 10: parse_list10; 11: parse_list11; 12: parse_list12;
            13: parse_list13; 14: parse_list14; 15: parse_list15; 16: parse_list16;
            17: parse_list17; 18: parse_list18; 19: parse_list19; 20: parse_list20;
            21: parse_list21; 22: parse_list22; 23: parse_list23; 24: parse_list24;
            25: parse_list25; 26: parse_list26; 27: parse_list27; 28: parse_list28;
            29: parse_list29; 30: parse_list30; 31: parse_list31; 32: parse_list32;
            33: parse_list33; 34: parse_list34; 35: parse_list35; 36: parse_list36;
            37: parse_list37; 38: parse_list38; 39: parse_list39; 40: parse_list40;
            41: parse_list41; 42: parse_list42; 43: parse_list43; 44: parse_list44;
            45: parse_list45; 46: parse_list46; 47: parse_list47; 48: parse_list48;
            49: parse_list49; 50: parse_list50; 51: parse_list51; 52: parse_list52;
            53: parse_list53; 54: parse_list54; 55: parse_list55; 56: parse_list56;
            57: parse_list57; 58: parse_list58; 59: parse_list59; 60: parse_list60;
            61: parse_list61; 62: parse_list62; 63: parse_list63;
            default: accept;
        }
    }

    FOREIGN_LIST(1) FOREIGN_LIST(2) FOREIGN_LIST(3) FOREIGN_LIST(4)
    FOREIGN_LIST(5) FOREIGN_LIST(6) FOREIGN_LIST(7) FOREIGN_LIST(8)
    FOREIGN_LIST(9) FOREIGN_LIST(10) FOREIGN_LIST(11) FOREIGN_LIST(12)
    FOREIGN_LIST(13) FOREIGN_LIST(14) FOREIGN_LIST(15) FOREIGN_LIST(16)
    FOREIGN_LIST(17) FOREIGN_LIST(18) FOREIGN_LIST(19) FOREIGN_LIST(20)
    FOREIGN_LIST(21) FOREIGN_LIST(22) FOREIGN_LIST(23) FOREIGN_LIST(24)
    FOREIGN_LIST(25) FOREIGN_LIST(26) FOREIGN_LIST(27) FOREIGN_LIST(28)
    FOREIGN_LIST(29) FOREIGN_LIST(30) FOREIGN_LIST(31) FOREIGN_LIST(32)
    FOREIGN_LIST(33) FOREIGN_LIST(34) FOREIGN_LIST(35) FOREIGN_LIST(36)
    FOREIGN_LIST(37) FOREIGN_LIST(38) FOREIGN_LIST(39) FOREIGN_LIST(40)
    FOREIGN_LIST(41) FOREIGN_LIST(42) FOREIGN_LIST(43) FOREIGN_LIST(44)
    FOREIGN_LIST(45) FOREIGN_LIST(46) FOREIGN_LIST(47) FOREIGN_LIST(48)
    FOREIGN_LIST(49) FOREIGN_LIST(50) FOREIGN_LIST(51) FOREIGN_LIST(52)
    FOREIGN_LIST(53) FOREIGN_LIST(54) FOREIGN_LIST(55) FOREIGN_LIST(56)
    FOREIGN_LIST(57) FOREIGN_LIST(58) FOREIGN_LIST(59) FOREIGN_LIST(60)
    FOREIGN_LIST(61) FOREIGN_LIST(62)

    state parse_list63 {
        meta.options.list = packet.lookahead<bit<2016>>();
        transition judge_option;
    }

    state judge_option {
        transition select(meta.options.words_left) {
            0:       accept;
            default: judge_foreign_option;
        }
    }

    state judge_foreign_option {
        meta.options.head = meta.options.list[2015:1984];
        meta.options.own =
            meta.options.own || meta.options.head[31:8] == OPTION_CLASS_TYPE;
        meta.options.unknown_critical =
            meta.options.unknown_critical || (meta.options.head[15:15] == 1 &&
                                              meta.options.head[31:8] != OPTION_CLASS_TYPE);
        meta.options.option_words_left = 1 + (bit<8>)meta.options.head[4:0];
        transition pass_word;
    }

    state pass_word {
        meta.options.list = meta.options.list << 32;
        meta.options.words_left = meta.options.words_left - 1;
        meta.options.option_words_left = meta.options.option_words_left - 1;
        transition select(meta.options.words_left, meta.options.option_words_left) {
            (_, 0):  judge_option;
            (0, _):  end_too_early;
            default: pass_word;
        }
    }

    state end_too_early {
        meta.options.too_long = true;
        transition accept;
    }

}

#endif
