# SPDX-License-Identifier: MPL-2.0
# Completion for bash.

_terraform_provider_bluegreen() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
	COMPREPLY=()
	case $previous in
	-state-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		return
		;;
	-as)
		mapfile -t COMPREPLY < <(compgen -u -- "$current")
		return
		;;
	-linger)
		mapfile -t COMPREPLY < <(compgen -W "forever 1m" -- "$current")
		return
		;;
	esac
	if [[ $COMP_CWORD -eq 1 ]]; then
		words="agent -debug"
	elif [[ ${COMP_WORDS[1]} == agent ]]; then
		case ${COMP_WORDS[2]} in
		install) words="-user -as -force -print" ;;
		connect) words="-state-dir -patience" ;;
		*) words="-state-dir -linger -restart -service -take-over -metrics-listen -replica-ports" ;;
		esac
		[[ $COMP_CWORD -gt 2 ]] || words="install connect $words"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _terraform_provider_bluegreen terraform-provider-bluegreen
