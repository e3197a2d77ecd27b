
# What follows stands in for the package bash-completion where that is missing.

# __ftl_words finds the words before the cursor, and takes = and : for parts of a word.
__ftl_words()
{
    local line=${COMP_LINE:0:COMP_POINT}
    read -r -a words <<<"$line"
    if [[ -z $line || $line == *[[:space:]] ]]; then
        words+=("")
    fi
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=
    if ((cword > 0)); then
        prev=${words[cword - 1]}
    fi
}

# __ftl_filedir completes files or, with -d, directories.
__ftl_filedir()
{
    if declare -F _filedir >/dev/null; then
        _filedir "$@"
        return
    fi
    local action=-f IFS=$'\n'
    if [[ $1 == -d ]]; then
        action=-d
    fi
    COMPREPLY=($(compgen $action -- "$cur"))
    if [[ $(type -t compopt) == builtin ]]; then
        compopt -o filenames 2>/dev/null
    fi
}
