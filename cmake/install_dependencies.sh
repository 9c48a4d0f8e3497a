#!/bin/sh
# Install those of the named things that this machine lacks, through its package manager, as root or with sudo.
#   cmake/install_dependencies.sh compiler cmake ninja eigen catch2 ccache python clang
# Without a compiler, CMake or Ninja nothing can be built: that ends with status 1. CMake fetches Eigen and Catch2 itself
# where no package has them, and without the others some tests are skipped by name; nvcc is never installed, only used
# where it is. Tried on Debian; the other columns are those systems' own package names.
set -eu

# The package of a thing, for the package manager `manager`.
package() {
  awk -v thing="$1" -v manager="$manager" '
    NR == 1 { for (i = 2; i <= NF; ++i) if ($i == manager) column = i }
    $1 == thing && $column != "-" { print " " $column }' <<TABLE
thing         apt-get              dnf              pacman           apk              zypper           brew
compiler      g++                  gcc-c++          gcc              g++              gcc-c++          gcc
cmake         cmake                cmake            cmake            cmake            cmake            cmake
ninja         ninja-build          ninja-build      ninja            samurai          ninja            ninja
eigen         libeigen3-dev        eigen3-devel     eigen            eigen-dev        eigen3-devel     eigen
catch2        catch2               catch-devel      catch2           catch2-3         Catch2-devel     catch2
clang         clang                clang            clang            clang            clang            llvm
ccache        ccache               ccache           ccache           ccache           ccache           ccache
python        python3              python3          python           python3          python3          python
tsan          -                    libtsan          -                -                -                -
clang-runtime libclang-rt-dev      compiler-rt      compiler-rt      compiler-rt      -                -
boost         libboost-context-dev boost-devel      boost            boost-dev        boost-devel      boost
certificates  ca-certificates      ca-certificates  ca-certificates  ca-certificates  ca-certificates  -
TABLE
}

# Is any of these files there?
exists() {
  for file in "$@"; do if [ -e "$file" ]; then return; fi; done
  return 1
}

# Is the thing there?
has() {
  case $1 in
    compiler) command -v c++ || command -v g++ || command -v clang++ ;;
    clang) command -v clang++ ;;
    python) command -v python3 ;;
    eigen) exists /usr/include/eigen3 /usr/local/include/eigen3 /opt/homebrew/include/eigen3 ;;
    catch2) exists /usr/include/catch2 /usr/local/include/catch2 /opt/homebrew/include/catch2 ;;
    tsan) exists /usr/lib*/libtsan.* /usr/lib*/gcc/*/*/libtsan.* ;;
    boost) exists /usr/include/boost/context /usr/local/include/boost/context /opt/homebrew/include/boost/context ;;
    clang-runtime) exists /usr/lib*/clang/*/lib/*/*fuzzer* /usr/lib*/llvm*/lib/clang/*/lib/*/*fuzzer* ;;
    certificates) exists /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

# Install packages with the package manager.
install() {
  case $manager in
    apt-get) $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" ;;
    dnf) $as_root dnf -q install -y "$@" ;;
    pacman) $as_root pacman -S --noconfirm --needed "$@" ;;
    apk) $as_root apk add -q "$@" ;;
    zypper) $as_root zypper -nq install "$@" ;;
    brew) brew install -q "$@" ;;
  esac
}

# Install packages, one by one if that fails for all: a name that this system does not know must not keep out the others.
install_all() {
  case $manager in
    apt-get) $as_root apt-get -qq update ;;
    pacman) $as_root pacman -Sy ;;
    apk) $as_root apk update ;;
  esac
  install "$@" || for package in "$@"; do install "$package"; done
}

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
    install_all $packages >"$log" 2>&1 || { echo "$manager could not install all of it:" && tail -n 5 "$log"; }
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
