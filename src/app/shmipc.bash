# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2207 # names of ours have no blanks
#
# Completion of shmipc for bash. Commands and options are what `--help` says, so that there is no second list of
# them; an option's argument is completed by what it is called there: HOST, USER, FILE, OUT, DIR and so on.

# The words after which the completion asks for more, of `shmipc $1 --help`: "-H --host=HOST", an option a line.
_shmipc_options() {
    "${COMP_WORDS[0]}" ${1:+"$1"} --help 2>/dev/null | awk '
        /^ +-/ {
            sub(/^ +/, ""); sub(/  .*/, "")     # what it means comes after two blanks
            n = split($0, parts, /, /); value = ""
            for (i = 1; i <= n; i++)
                if (split(parts[i], words, " ") > 1) value = words[2]
            for (i = 1; i <= n; i++) {
                split(parts[i], words, " ")
                print words[1] "\t" value
            }
        }'
}

# Commands of shmipc, or of its command $1: lines of a word and what it does.
_shmipc_commands() {
    "${COMP_WORDS[0]}" ${1:+"$1"} --help 2>/dev/null | sed -nE 's/^  ([a-z]+)  +[^ ].*/\1/p'
}

# Instances of the configuration, or those whose role is $1; of the file that this command line names.
_shmipc_instances() {
    local i file=
    for ((i = 2; i < COMP_CWORD - 1; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config)
            file=${COMP_WORDS[i + 1]}
            [ "$file" != = ] || file=${COMP_WORDS[i + 2]}
            ;;
        esac
    done
    "${COMP_WORDS[0]}" check ${file:+-c "$file"} 2>/dev/null | sed -nE "s/^([A-Za-z0-9_-]+): ${1:-[a-z]+},.*/\1/p"
}

_shmipc_paths() { # -f or -d
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2") # these may have blanks
}

# The value of an option, or an argument, that the help calls $1.
_shmipc_value() {
    case $1 in
    HOST) COMPREPLY=($(compgen -W "$(_shmipc_instances host)" -- "$2")) ;;
    NAME*) COMPREPLY=($(compgen -W "$(_shmipc_instances)" -- "$2")) ;;
    FILE* | OUT) _shmipc_paths -f "$2" ;;
    USER) COMPREPLY=($(compgen -u -- "$2")) ;;
    DIR) _shmipc_paths -d "$2" ;;
    ID*) COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" parked list --noheadings 2>/dev/null | awk '{ print $1 }')" -- "$2")) ;;
    esac
}

# What an argument of a command is called: that of its first line of usage, if it has not a list of its own.
_shmipc_argument() {
    local command=$1 word=$2 n=$3 own
    own=$(_shmipc_commands "$command")
    if [ -n "$own" ] && [ "$n" = 2 ]; then
        COMPREPLY=($(compgen -W "$own" -- "$word"))
    elif [ "$command" = parked ]; then
        _shmipc_value ID "$word"
    elif [ "$command" = run ]; then
        _shmipc_value NAME "$word"
    elif [ "$command" = call ]; then
        _shmipc_value FILE "$word"
    fi
}

_shmipc() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-} value
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "$(_shmipc_commands) $(_shmipc_options | cut -f 1)" -- "$word"))
        return
    fi
    # --option=value comes as three words.
    [ "$word" != = ] || word=
    [ "$previous" != = ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
    case $previous in
    -*)
        value=$(_shmipc_options "$command" | awk -F '\t' -v option="$previous" '$1 == option { print $2 }')
        if [ -n "$value" ]; then
            _shmipc_value "$value" "$word"
            return
        fi
        ;;
    esac
    case $word in
    -*) COMPREPLY=($(compgen -W "$(_shmipc_options "$command" | cut -f 1)" -- "$word")) ;;
    *) _shmipc_argument "$command" "$word" "$COMP_CWORD" ;;
    esac
}

complete -F _shmipc shmipc
