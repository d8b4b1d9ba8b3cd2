# Completion of mc for fish; made by `mc completions fish`.
function __mc_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor | string trim --left --chars '"\'')
    mc complete --at (count $words) -- $words $current 2>/dev/null
end
complete --command mc --no-files --keep-order --arguments '(__mc_complete)'
