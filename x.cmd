@echo off
rem The verbs of ./x on Windows, by the bash of MSYS2 (https://www.msys2.org), whose MINGW64 has what is needed to build:
rem   pacman -S --needed make mingw-w64-x86_64-{gcc,cmake,nasm,pkgconf,clang,libvpx}
rem and Rust's stable-x86_64-pc-windows-gnu (https://rustup.rs).
setlocal
if not defined MSYS2 set "MSYS2=C:\msys64"
if not exist "%MSYS2%\usr\bin\bash.exe" (
  echo x: no MSYS2 in %MSYS2%: install it from https://www.msys2.org, or set MSYS2 to its folder 1>&2
  exit /b 1
)
set "MSYSTEM=MINGW64"
set "CHERE_INVOKING=1"
set "MSYS2_PATH_TYPE=inherit"
"%MSYS2%\usr\bin\bash.exe" -l "%~dp0x" %*
exit /b %ERRORLEVEL%
