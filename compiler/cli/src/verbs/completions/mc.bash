# Completion of mc for bash 3.2 and later; made by `mc completions bash`.
_mc() {
    local line=${COMP_LINE:0:COMP_POINT} words current cut value
    current=${COMP_WORDS[COMP_CWORD]}
    if [[ $current == [\"\']* ]]; then
        # Within quotes, bash takes the word as a whole.
        words=("${COMP_WORDS[@]:0:COMP_CWORD}")
        current=${current:1}
        words+=("$current")
        cut=
    else
        # bash cuts words at `:` and `=`, which labels and options hold: the words are read again from the line, and
        # bash replaces only what follows the last of these signs.
        read -r -a words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        current=${words[${#words[@]} - 1]}
        cut=${current%"${current##*[:=]}"}
    fi
    COMPREPLY=()
    while IFS= read -r value; do
        value=${value%%$'\t'*}
        COMPREPLY+=("${value#"$cut"}")
    done < <("${words[0]/#\~/$HOME}" complete --at $((${#words[@]} - 1)) -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:=\(] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -F _mc mc
