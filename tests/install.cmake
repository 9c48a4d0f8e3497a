# Installs the build tree BUILT into the folder PREFIX, which holds nothing else afterwards.
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILT} --prefix ${PREFIX} COMMAND_ERROR_IS_FATAL ANY)
