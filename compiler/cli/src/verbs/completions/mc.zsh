#compdef mc
# Completion of mc for zsh; made by `mc completions zsh`.
_mc() {
    local line value help
    local -a open open_shown closed closed_shown
    while IFS= read -r line; do
        value=${line%%$'\t'*}
        help=${line#*$'\t'}
        [[ $line == *$'\t'* ]] || help=
        if [[ $value == *[/:=\(] ]]; then
            open+=("$value")
            open_shown+=("$value${help:+  -- $help}")
        else
            closed+=("$value")
            closed_shown+=("$value${help:+  -- $help}")
        fi
    done < <(mc complete --at $((CURRENT - 1)) -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#open )) && compadd -l -S '' -d open_shown -a open
    (( $#closed )) && compadd -l -d closed_shown -a closed
    (( $#open + $#closed ))
}
if [[ $funcstack[1] == _mc ]]; then
    _mc "$@"
else
    compdef _mc mc
fi
