// SPDX-License-Identifier: Apache-2.0
// Lists of options: those of IPv4 are only passed by; among those of a Geneve packet that is not in our own
// fixed form, ours is looked for, and critical ones.
#ifndef MOORLINE_OPTIONS_P4
#define MOORLINE_OPTIONS_P4

#include "headers.p4"
#include "metadata.p4"

// As many words as the header says, in pieces of 8, 4, 2 and 1.
parser Ipv4Options(packet_in packet, in ipv4_t ip, out options_words_t options) {
    state start {
        transition select(ip.version_ihl) {
            0x4D .. 0x4F: parse_words8;
            0x49 .. 0x4C: parse_words4;
            0x47 .. 0x48: parse_words2;
            default:      parse_words1;
        }
    }

    state parse_words8 {
        packet.extract(options.words8);
        transition select(ip.version_ihl) {
            0x4D:    accept;
            0x4F:    parse_words2;
            default: parse_words1;
        }
    }

    state parse_words4 {
        packet.extract(options.words4);
        transition select(ip.version_ihl) {
            0x49:         accept;
            0x4B .. 0x4C: parse_words2;
            default:      parse_words1;
        }
    }

    state parse_words2 {
        packet.extract(options.words2);
        transition select(ip.version_ihl) {
            0x48:    parse_words1;
            0x4C:    parse_words1;
            default: accept;
        }
    }

    state parse_words1 {
        packet.extract(options.words1);
        transition accept;
    }
}

parser ForeignOptions(packet_in packet, in geneve_t geneve, out words32_t words32,
                      out words16_t words16, out options_words_t words, inout known_t meta) {
    // The whole list, then option by option. A frame that ends inside the list is judged by its length.
    state start {
        meta.fate = Fate.OPTIONS;
        meta.options.words_left = (bit<8>)geneve.form[13:8];
        meta.options.words_before = OPTION_MOST_WORDS - (bit<8>)geneve.form[13:8];
        meta.options.own = false;
        meta.options.unknown_critical = false;
        meta.options.too_long = false;
        meta.options.head = 0;
        meta.options.list = 0;
        transition select(geneve.form) {
            0x2000 &&& 0x2000: parse_words32;
            default:           choose_words16;
        }
    }

    state parse_words32 {
        packet.extract(words32);
        meta.options.list = (bit<2016>)words32.words;
        transition choose_words16;
    }

    state choose_words16 {
        transition select(geneve.form) {
            0x1000 &&& 0x1000: parse_words16;
            default:           choose_words8;
        }
    }

    state parse_words16 {
        packet.extract(words16);
        // v1model's shifts go as far as 256.
        meta.options.list = (meta.options.list << 256) |
                            (bit<2016>)words16.words[511:256];
        meta.options.list = (meta.options.list << 256) |
                            (bit<2016>)words16.words[255:0];
        transition choose_words8;
    }

    state choose_words8 {
        transition select(geneve.form) {
            0x0800 &&& 0x0800: parse_words8;
            default:           choose_words4;
        }
    }

    state parse_words8 {
        packet.extract(words.words8);
        meta.options.list = (meta.options.list << 256) |
                            (bit<2016>)words.words8.words;
        transition choose_words4;
    }

    state choose_words4 {
        transition select(geneve.form) {
            0x0400 &&& 0x0400: parse_words4;
            default:           choose_words2;
        }
    }

    state parse_words4 {
        packet.extract(words.words4);
        meta.options.list = (meta.options.list << 128) |
                            (bit<2016>)words.words4.words;
        transition choose_words2;
    }

    state choose_words2 {
        transition select(geneve.form) {
            0x0200 &&& 0x0200: parse_words2;
            default:           choose_words1;
        }
    }

    state parse_words2 {
        packet.extract(words.words2);
        meta.options.list = (meta.options.list << 64) |
                            (bit<2016>)words.words2.words;
        transition choose_words1;
    }

    state choose_words1 {
        transition select(geneve.form) {
            0x0100 &&& 0x0100: parse_words1;
            default:           begin_list;
        }
    }

    state parse_words1 {
        packet.extract(words.words1);
        meta.options.list = (meta.options.list << 32) |
                            (bit<2016>)words.words1.words;
        transition begin_list;
    }

    // The list goes to the upper end of its field, where its first option is read.
    state begin_list {
        transition select(meta.options.words_before) {
            0:       judge_option;
            default: move_list;
        }
    }

    state move_list {
        meta.options.list = meta.options.list << 32;
        meta.options.words_before = meta.options.words_before - 1;
        transition begin_list;
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
