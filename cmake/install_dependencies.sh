#!/bin/sh
# Install those of the named things that this machine lacks, through its package manager, as root or with sudo.
#   cmake/install_dependencies.sh compiler cmake ninja eigen catch2 clang ccache python
# Without a compiler, CMake or Ninja nothing can be built: that ends with status 1. CMake fetches Eigen and Catch2 itself
# where no package has them, and without the others some tests are skipped by name. Tried on Debian; the other columns
# are those systems' own package names.
set -eu

# The package of a thing, for the package manager `manager`.
package() {
  awk -v thing="$1" -v manager="$manager" '
    NR == 1 { for (i = 2; i <= NF; ++i) if ($i == manager) column = i }
    $1 == thing && $column != "-" { print " " $column }' <<TABLE
thing       apt-get        dnf           pacman  apk       zypper        brew
compiler    g++            gcc-c++       gcc     g++       gcc-c++       gcc
cmake       cmake          cmake         cmake   cmake     cmake         cmake
ninja       ninja-build    ninja-build   ninja   samurai   ninja         ninja
eigen       libeigen3-dev  eigen3-devel  eigen   eigen-dev eigen3-devel  eigen
catch2      catch2         catch-devel   catch2  catch2-3  Catch2-devel  catch2
clang       clang          clang         clang   clang     clang         llvm
ccache      ccache         ccache        ccache  ccache    ccache        ccache
python      python3        python3       python  python3   python3       python
asan        -              libasan       -       -         -             -
ubsan       -              libubsan      -       -         -             -
tsan        -              libtsan       -       -         -             -
TABLE
}

# Is the thing there?
has() {
  case $1 in
    compiler) command -v c++ || command -v g++ || command -v clang++ ;;
    clang) command -v clang++ ;;
    python) command -v python3 ;;
    eigen) found include/eigen3/Eigen/Core ;;
    catch2) found include/catch2/catch.hpp || found include/catch2/catch_all.hpp ;;
    asan | ubsan | tsan) ls /usr/lib*/lib"$1".so* /usr/lib*/gcc/*/*/lib"$1".so* ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}
found() { [ -e "/usr/$1" ] || [ -e "/usr/local/$1" ] || [ -e "/opt/homebrew/$1" ]; }

missing=
for thing in "$@"; do has "$thing" || missing="$missing $thing"; done

if [ -n "$missing" ]; then
  manager=
  for candidate in apt-get dnf pacman apk zypper brew; do
    if [ -z "$manager" ] && command -v "$candidate" >/dev/null; then manager=$candidate; fi
  done

  # sudo may ask for a password only where somebody can answer.
  if [ "$(id -u)" -eq 0 ] || [ "$manager" = brew ]; then as_root=
  elif ! command -v sudo >/dev/null; then manager=
  elif [ -t 0 ]; then as_root=sudo
  else as_root="sudo -n"
  fi

  packages=
  if [ -n "$manager" ]; then
    for thing in $missing; do packages="$packages$(package "$thing")"; done
  fi
  # shellcheck disable=SC2086  # lists of words
  if [ -z "$manager" ]; then
    echo "missing:$missing (and there is no package manager that this script knows and may use)"
  elif [ -n "$packages" ]; then
    echo "installing with $manager:$packages"
    log=$(mktemp)
    case $manager in
      apt-get) $as_root apt-get -qq update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages ;;
      dnf) $as_root dnf -q install -y $packages ;;
      pacman) $as_root pacman -Sy --noconfirm --needed $packages ;;
      apk) $as_root apk add -q $packages ;;
      zypper) $as_root zypper -nq install $packages ;;
      brew) brew install -q $packages ;;
    esac >"$log" 2>&1 || { echo "$manager could not install all of it:" && tail -n 5 "$log"; }
    rm -f "$log"
  fi
fi

for thing in compiler cmake ninja; do
  case " $* " in
    *" $thing "*) has "$thing" || { echo "without $thing nothing can be built: please install it, then run this again" >&2 && exit 1; } ;;
  esac
done
version=$(cmake --version | sed -n '1s/.* //p')
if [ "$(printf '%s\n' 3.25 "$version" | sort -t. -k1,1n -k2,2n | head -n 1)" != 3.25 ]; then
  echo "CMake 3.25 or newer is needed and this one is $version: https://cmake.org/download has newer ones" >&2
  exit 1
fi
